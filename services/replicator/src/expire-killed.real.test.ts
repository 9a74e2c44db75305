import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { planChanges } from '@salvor/policy/changes-plan'
import { findStored } from '@salvor/repository/find-stored'
import { openChangeWorld } from '@salvor/runtime/change-sets.fixture'
import { carriersOf } from '@salvor/runtime/change-facts'
import { createDispatch } from '@salvor/runtime/dispatch/dispatch'
import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { type Instant, shifted } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { replicator } from './service.ts'

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000]
const never = new AbortController().signal
type World = Awaited<ReturnType<typeof openChangeWorld>>

/** Begins to thin out in a process of its own, and kills that where it stands. */
async function killedAt(
  world: World,
  now: Instant,
  point: 'marked' | 'deleting' | 'forgetting',
  count = 0,
): Promise<void> {
  const main = fileURLToPath(new URL('./expire-main.fixture.ts', import.meta.url))
  const args = [world.path('salvor.yaml'), now, point, String(count)]
  const child = fork(main, args, { execArgv: ['--conditions=source'], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  const [said] = (await Promise.race([once(child, 'message'), exited])) as unknown[]
  child.kill('SIGKILL')
  expect([said, (await exited)[1]]).toEqual(['here', 'SIGKILL'])
}

async function expire({ deps, holder }: World): Promise<unknown> {
  const dispatch = createDispatch({ definitions: [replicator], deps, holder, random: () => 0 })
  const job = { job: 'expire-changes', source: 'desk', params: { source: 'desk' } } as const
  const run = await deps.catalog.transaction({ service: 'cli' }, (tx) => tx.enqueue(job))
  await dispatch.executeRun(run.id)
  return (await deps.catalog.run(run.id))!.result
}

/** What lies whole in the store, as a catalog that is made of it would have it. */
async function storedIn({ deps }: World, store: string): Promise<StoredChangeSet[]> {
  const sets: StoredChangeSet[] = []
  for await (const { kind, found } of findStored(deps.store(store), deps.keyring, never))
    if (kind === 'changes' && found.error === null) sets.push({ ...found.file, store, leaving_at: null })
  return sets.toSorted((a, b) => (a.to_at < b.to_at ? -1 : 1))
}

test('an expiry that is killed between mark, deletion and the removal of rows loses no kept instant and gives nobody what is gone', async () => {
  await using world = await openChangeWorld()
  const base = await world.backup()
  const begin = shifted(`${base.consistent_at.slice(0, 13)}:00:00.000000Z`, HOUR)
  const update = (n: number): string => `UPDATE t SET x = hex(randomblob(100)) WHERE id % 40 = ${n}`
  const instants = [0, 1, 2].flatMap((hour) => [5, 5.5, 30].map((at) => shifted(begin, hour * HOUR + at * MINUTE)))
  for (const [n, at] of instants.entries()) await world.change(base, at, update(n))
  world.setNow(shifted(begin, DAY))
  await world.compact()
  await world.prove(base)
  const kept = world.truths.filter((_, n) => n % 3 === 2)
  const between = world.truths.filter((_, n) => n % 3 !== 2)
  const all = (await world.sets('local')).length
  const left = async (): Promise<readonly number[]> => [
    (await world.sets('local')).length,
    (await world.sets('local', true)).length,
    (await storedIn(world, 'local')).length,
  ]
  const keptComeBack = async (restored = kept.slice(0, 1)): Promise<void> => {
    for (const { at, sha256 } of restored) expect(await world.restored(at)).toMatchObject({ sha256 })
    const facts = {
      bases: (await carriersOf(world.deps, 'desk')).bases,
      sets: await storedIn(world, 'local'),
      stream: null,
    }
    for (const { at } of kept) {
      const plan = planChanges(facts, { source: 'desk', target: { kind: 'time', at }, backup_id: null })
      expect(plan.recovers_to).toBe(at)
    }
    for (const { at } of between.slice(0, 2))
      await expect(world.restored(at)).rejects.toMatchObject({ code: 'TARGET_OUTSIDE_WINDOW' })
  }

  await killedAt(world, shifted(begin, 9 * DAY), 'marked')
  const gone = 12
  expect(await left()).toEqual([all - gone, gone, all])
  await keptComeBack()
  // A document and its content, another document.
  await killedAt(world, shifted(begin, 10 * DAY), 'deleting', 3)
  expect(await left()).toEqual([all - gone, gone, all - 2])
  await keptComeBack()
  // All of a first hour, of which the catalog still has the rows.
  await killedAt(world, shifted(begin, 11 * DAY), 'forgetting')
  expect(await left()).toEqual([all - gone, gone, all - 4])
  await keptComeBack()
  world.setNow(shifted(begin, 12 * DAY))
  expect(await expire(world)).toMatchObject({ stores: { local: { leaving: 0, deleted: gone } } })
  expect(await left()).toEqual([all - gone, 0, all - gone])
  await keptComeBack(kept)
  expect(await world.deps.catalog.verifyAudit()).toBeNull()
})
