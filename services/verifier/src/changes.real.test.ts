import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { incidentOpenedBy } from '@salvor/policy/incidents'
import { openChangeWorld } from '@salvor/runtime/change-sets.fixture'
import { createDispatch } from '@salvor/runtime/dispatch/dispatch'
import type { EventType } from '@salvor/shared/messages/events'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { shifted } from '@salvor/shared/vocabulary/instant'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { expect, test } from 'vitest'
import { verifier } from './service.ts'

const HOUR = 3_600_000
type World = Awaited<ReturnType<typeof openChangeWorld>>

/** Looks at a backup as the verifier does; what it saw beside the copy, and what it told. */
async function verified(world: World, backup: BackupWithCopies) {
  const { deps, holder } = world
  const dispatch = createDispatch({ definitions: [verifier], deps, holder, random: () => 0 })
  const params = { backup_id: backup.id, store: 'local', level: 'restore' } as const
  const job = { job: 'verify-copy', source: 'desk', params } as const
  const run = await deps.catalog.transaction({ service: 'cli' }, (tx) => tx.enqueue(job))
  await dispatch.executeRun(run.id)
  const { result, error } = (await deps.catalog.run(run.id))!
  expect(error).toBeNull()
  const { checks } = result as { checks: readonly Check[] }
  const beside = checks.filter(({ name }) => /change sets|recovery/.test(name))
  const ids = await deps.catalog.undelivered('notifier', { correlation_id: run.correlation_id, limit: 100 })
  const events = await Promise.all(ids.map((id) => deps.catalog.event(id)))
  const told = events.map((event) => {
    const { type, data } = event!
    return [type satisfies EventType, 'error' in data ? data.error.code : '', incidentOpenedBy(event!)?.key ?? ''].join(
      ' ',
    )
  })
  return { beside: beside.map(({ name, ok, detail }) => `${name}: ${ok} ${detail}`), told }
}

const jobs = async ({ deps }: World, job: 'replicate-changes' | 'take-backup') =>
  (await deps.catalog.runs({ jobs: [job], source: 'desk' })).map(({ params }) => params as Record<string, unknown>)
const update = (n: number): string => `UPDATE t SET x = hex(randomblob(100)) WHERE id % 50 = ${n}`

function flip(file: string): void {
  const bytes = readFileSync(file)
  bytes[bytes.length >> 1]! ^= 16
  chmodSync(file, 0o600)
  writeFileSync(file, bytes)
}

test('change sets are decoded in each store and restored in a sandbox with the newest backup; what is damaged is told, forgotten and made good where it can be', async () => {
  await using world = await openChangeWorld()
  const first = await world.backup()
  const sets: StoredChangeSet[] = []
  for (let n = 0; n < 5; n += 1)
    sets.push(await world.change(first, shifted(first.consistent_at, 10 * (n + 1)), update(n)))
  await pause(1_100)
  const second = await world.backup()
  for (let n = 5; n < 10; n += 1) {
    sets.push(await world.change(first, shifted(second.consistent_at, n * 3 * 60_000), update(n)))
  }
  world.setNow(shifted(second.consistent_at, 2 * HOUR))
  await world.compact()
  const all = await world.sets('local')
  for (const set of all) await world.copy(set)
  const { beside, told } = await verified(world, second)
  expect(beside.slice(0, 2)).toEqual([
    `change sets in local: true ${all.length} sets are there, ${all.length} of them decoded`,
    `change sets in second: true ${all.length} sets are there, ${all.length} of them decoded`,
  ])
  expect(beside[2]).toMatch(/^recovery to the latest instant: true backup_full_.* and [1-6] change sets, to /)
  expect(told).toEqual(['copy.verified  '])

  const whole = all.find(({ brings_state_of }) => brings_state_of !== null)!
  flip(world.fileOf('second', whole))
  rmSync(world.fileOf('backups', sets[6]!))
  rmSync(world.fileOf('backups', sets[6]!).replace('.zst', '.json'))
  const bad = await verified(world, second)
  expect(bad.beside).toEqual([
    expect.stringMatching(/^change sets in local: false 1 of .* missing or damaged.*it is gone/),
    expect.stringMatching(/^change sets in second: false 1 of .* missing or damaged.*does not match/),
  ])
  const damaged = 'copy.failed CHANGES_DAMAGED desk/change-copies'
  expect(bad.told).toEqual([damaged, damaged])
  const { base, name } = sets[6]!
  expect(await jobs(world, 'replicate-changes')).toEqual([{ source: 'desk', base, name }])
  expect(await jobs(world, 'take-backup')).toEqual([])
  expect([(await world.sets('local')).length, (await world.sets('second')).length]).toEqual([
    all.length - 1,
    all.length - 1,
  ])
  // Everything still comes back, with what the other store has.
  const { at, sha256 } = world.truths[6]!
  expect(await world.restored(at)).toMatchObject({ sha256 })
})

test('sets that hold another state than the source had are found by the restore; one that is lost in every store leads to a new full', async () => {
  await using world = await openChangeWorld()
  const base = await world.backup()
  await world.change(base, shifted(base.consistent_at, 1_000), update(1))
  const lost = await world.change(base, shifted(base.consistent_at, 2_000), update(2))
  await world.change(base, shifted(base.consistent_at, 3_000), update(3), true)
  const { beside, told } = await verified(world, base)
  expect(beside[1]).toMatch(/^recovery to the latest instant: false .*integrity_check/)
  expect(told).toEqual(['copy.failed RECOVERY_NOT_PROVEN desk/recovery'])
  flip(world.fileOf('backups', lost))
  const damaged = await verified(world, base)
  expect(damaged.told).toEqual(['copy.failed CHANGES_DAMAGED desk/change-copies'])
  expect(await jobs(world, 'take-backup')).toEqual([expect.objectContaining({ type: 'full', trigger: 'first' })])
})
