import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync, chmodSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { openChangeWorld } from '@salvor/runtime/change-sets.fixture'
import { createDispatch } from '@salvor/runtime/dispatch/dispatch'
import type { Deps } from '@salvor/shared/ports/service'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { backupWorker } from '../service.ts'

const HOUR = 3_600_000
const EVERY_ONE = process.env['SALVOR_TEST_COUNTS'] === 'full'
const random = (most: number): number => 1 + Math.floor(Math.random() * most)
/** A few rows, many rows, rows that go so that the file gets shorter, rows that come so that it grows. */
const STATEMENTS = [
  () => `UPDATE t SET x = hex(randomblob(100)) WHERE id = ${random(400)}`,
  () => `UPDATE t SET x = hex(randomblob(90)) WHERE id % 7 = ${random(6)}`,
  () => `DELETE FROM t WHERE id > ${250 + random(100)}`,
  () => `INSERT INTO t (x) SELECT hex(randomblob(200)) FROM t LIMIT ${random(200)}`,
]

type World = Awaited<ReturnType<typeof openChangeWorld>>

function compactor(world: World, deps: Deps = world.deps) {
  const dispatch = createDispatch({ definitions: [backupWorker], deps, holder: world.holder, random: () => 0 })
  return async (): Promise<unknown> => {
    const { catalog } = world.deps
    const params = { source: 'desk', whole: true }
    const run = await catalog.transaction({ service: 'cli' }, (tx) =>
      tx.enqueue({ job: 'compact-changes', source: 'desk', params }),
    )
    await dispatch.executeRun(run.id)
    const { result, error } = (await catalog.run(run.id))!
    return error ?? result
  }
}

/** A backup, and sets over three hours. */
async function filled(world: World, sets = 18): Promise<void> {
  const base = await world.backup()
  for (let n = 0, at = shifted(base.consistent_at, 1_000); n < sets; n += 1) {
    at = shifted(at, n % 6 === 5 ? 0.7 * HOUR : 1_000 + random(20_000))
    await world.change(base, at, STATEMENTS[random(STATEMENTS.length) - 1]!())
  }
  world.setNow(shifted(base.consistent_at, 72 * HOUR))
}

test('whatever changed, compacted sets bring every instant back as it was, in fewer sets; a second run makes nothing, a flipped byte is found', async () => {
  await using world = await openChangeWorld()
  await filled(world)
  const { truths } = world
  const end = truths.at(-1)!
  expect(await world.restored(end.at)).toMatchObject({ sha256: end.sha256, sets: truths.length })
  // Of a minute, an hour and a day; another worker at the same time waits.
  const compact = compactor(world)
  const { made, failed } = (await compact()) as { made: number; failed: number }
  expect([made > 3, failed]).toEqual([true, 0])
  const sets = await world.sets('local')
  expect(sets).toHaveLength(truths.length + made)
  for (const { at, sha256 } of truths.filter((_, n) => EVERY_ONE || n % 6 === 3)) {
    const back = await world.restored(at)
    expect([at, back.sha256]).toEqual([at, sha256])
    expect(back.sets).toBeLessThanOrEqual(12)
  }
  const { first: whole, sets: least } = await world.restored(end.at)
  expect(least).toBeLessThanOrEqual(2)
  expect(await compact()).toEqual({ made: 0, failed: 0 })
  // The replicator hears of each, as of any set.
  const events = await world.deps.catalog.undelivered('replicator', { limit: 1_000 })
  expect(events.length).toBeGreaterThanOrEqual(made)
  const file = world.fileOf('backups', whole!)
  const bytes = readFileSync(file)
  bytes[bytes.length >> 1]! ^= 4
  chmodSync(file, 0o600)
  writeFileSync(file, bytes)
  await expect(world.restored(end.at)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' })
})

test('a compaction that dies leaves nothing that is not told by the catalog, and is done by the next one', async () => {
  await using world = await openChangeWorld()
  await filled(world, 12)
  const folder = world.path('backups/desk/changes')
  const compacted = (): string[] =>
    existsSync(folder)
      ? (readdirSync(folder, { recursive: true }) as string[]).filter((name) => name.includes('-compacted'))
      : []
  // A process of its own, killed as soon as the first object is there.
  const before = childProcesses()
  const running = compactor(world, { ...world.deps, tasks: world.forked })()
  const end = performance.now() + 20_000
  let children: number[] = []
  while (children.length === 0 && performance.now() < end) {
    await pause(20)
    children = childProcesses().filter((pid) => !before.includes(pid))
  }
  while (compacted().length === 0 && performance.now() < end) await pause(1)
  for (const pid of children) process.kill(pid, 'SIGKILL')
  await running
  expect(compacted().length).toBeGreaterThan(0)
  // The objects of the next one are stored, and the catalog is away when they are to be recorded.
  const { catalog } = world.deps
  let refused = false
  const away: Deps = {
    ...world.deps,
    catalog: {
      ...catalog,
      transaction: (cause, work) =>
        catalog.transaction(cause, async (tx) => {
          const recordChangeSet = async (): Promise<never> => {
            refused = true
            throw new Error('away')
          }
          return await work({ ...tx, recordChangeSet })
        }),
    },
  }
  await compactor(world, away)()
  const names = compacted()
  expect(refused).toBe(true)
  const known = (await world.sets('local')).filter(({ brings_state_of }) => brings_state_of !== null).length
  expect(known).toBeLessThan(names.filter((name) => name.endsWith('.json')).length)
  const { failed } = (await compactor(world)()) as { failed: number }
  expect(failed).toBe(0)
  const recorded = (await world.sets('local')).filter(({ brings_state_of }) => brings_state_of !== null)
  const documents = compacted().filter((name) => name.endsWith('.json'))
  expect(recorded).toHaveLength(documents.length)
  for (const { at, sha256 } of world.truths.filter((_, n) => n % 6 === 5))
    expect(await world.restored(at)).toMatchObject({ sha256 })
})

/** Of this process. */
function childProcesses(): number[] {
  try {
    return execFileSync('pgrep', ['-P', String(process.pid)], { encoding: 'utf8' })
      .split('\n')
      .filter(Boolean)
      .map(Number)
  } catch {
    return []
  }
}
