import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { planChanges } from '@salvor/policy/changes-plan'
import { findStored } from '@salvor/repository/find-stored'
import { openChangeWorld } from '@salvor/runtime/change-sets.fixture'
import { carriersOf } from '@salvor/runtime/change-facts'
import { createDispatch } from '@salvor/runtime/dispatch/dispatch'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { Store } from '@salvor/shared/ports/store'
import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { type Instant, shifted } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { replicator } from './service.ts'

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000]
const never = new AbortController().signal
type World = Awaited<ReturnType<typeof openChangeWorld>>

async function expire(world: World, deps: Deps = world.deps): Promise<unknown> {
  const dispatch = createDispatch({ definitions: [replicator], deps, holder: world.holder, random: () => 0 })
  const { catalog } = world.deps
  const job = { job: 'expire-changes', source: 'desk', params: { source: 'desk' } } as const
  const run = await catalog.transaction({ service: 'cli' }, (tx) => tx.enqueue(job))
  await dispatch.executeRun(run.id)
  const { result, error } = (await catalog.run(run.id))!
  expect(error).toBeNull()
  return result
}

/** The same stores, one of which does not answer when something is to be deleted for the `count`-th time. */
function failing(world: World, name: string, count: number): Deps {
  const store = (wanted: string): Store => {
    const real = world.deps.store(wanted)
    if (wanted !== name) return real
    const fails = async (key: string, signal: AbortSignal): Promise<void> => {
      if (--count < 0) throw new SalvorError('STORE_UNREACHABLE', { store: name, reason: 'away' })
      await real.delete(key, signal)
    }
    return new Proxy(real, {
      get: (target, key) => {
        if (key === 'delete') return fails
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
  return { ...world.deps, store }
}

/** What a catalog that is made of one store alone would plan. */
async function planAlone({ deps }: World, store: string, at: Instant) {
  const sets: StoredChangeSet[] = []
  for await (const { kind, found } of findStored(deps.store(store), deps.keyring, never)) {
    if (kind !== 'changes') continue
    expect(found.error).toBeNull()
    if (found.error === null) sets.push({ ...found.file, store, leaving_at: null })
  }
  const { bases } = await carriersOf(deps, 'desk')
  const facts = { bases, sets: sets.toSorted((a, b) => (a.to_at < b.to_at ? -1 : 1)), stream: null }
  return planChanges(facts, { source: 'desk', target: { kind: 'time', at }, backup_id: null })
}

test('old sets go from each store where one that stays brings their hour; a store that is away, a kill in between and a damaged one lose nothing', async () => {
  await using world = await openChangeWorld()
  const base = await world.backup()
  const begin = shifted(`${base.consistent_at.slice(0, 13)}:00:00.000000Z`, HOUR)
  const update = (n: number): string => `UPDATE t SET x = hex(randomblob(100)) WHERE id % 40 = ${n}`
  const instants = [0, 1, 2].flatMap((hour) =>
    [5, 5.5, 30].map((minute) => shifted(begin, hour * HOUR + minute * MINUTE)),
  )
  for (const [n, at] of instants.entries()) await world.change(base, at, update(n))
  const kept = world.truths.filter((_, n) => n % 3 === 2)
  world.setNow(shifted(begin, DAY))
  await world.compact()
  const all = await world.sets('local')
  const isFine = ({ brings_state_of }: StoredChangeSet): boolean => brings_state_of === null
  for (const set of all.filter(isFine)) await world.copy(set)
  // A store that is asked for serves alone, as far as it can.
  const end = world.truths.at(-1)!
  expect((await world.restored(end.at)).sets).toBeLessThan(4)
  expect(await world.restored(end.at, 'second')).toMatchObject({
    sha256: end.sha256,
    sets: 9,
    first: { store: 'second' },
  })
  for (const set of all.filter((one) => !isFine(one))) await world.copy(set)
  const left = async (store: string, leaving = false): Promise<number> => (await world.sets(store, leaving)).length
  const none = { leaving: 0, deleted: 0 }

  // Young; then old, and nothing is proven.
  expect(await expire(world)).toEqual({ stores: { local: none, second: none } })
  world.setNow(shifted(begin, 9 * DAY))
  expect(await expire(world)).toEqual({ stores: { local: none, second: none } })
  await world.prove(base)
  const gone = 12
  expect(await expire(world)).toEqual({
    stores: { local: { leaving: gone, deleted: 0 }, second: { leaving: gone, deleted: 0 } },
  })
  expect([await left('local'), await left('local', true)]).toEqual([all.length - gone, gone])
  // Whoever began a restore before finds them still; whoever begins one now is told.
  expect(existsSync(world.fileOf('backups', all[0]!))).toBe(true)
  await expect(world.restored(world.truths[1]!.at)).rejects.toMatchObject({ code: 'TARGET_OUTSIDE_WINDOW' })
  for (const { at, sha256 } of kept) expect(await world.restored(at)).toMatchObject({ sha256 })

  // Killed in the middle of one store, and the other one holds a set that is not good any more.
  const [hour] = (await world.sets('second')).filter(
    ({ brings_state_of, to_at }) => brings_state_of !== null && to_at === kept[1]!.at,
  )
  const file = world.fileOf('second', hour!)
  const good = readFileSync(file)
  chmodSync(file, 0o600)
  writeFileSync(file, Buffer.concat([good.subarray(0, -1), Buffer.from([good.at(-1)! ^ 1])]))
  world.setNow(shifted(begin, 10 * DAY))
  expect(await expire(world, failing(world, 'local', 7))).toMatchObject({
    stores: { local: { skipped: expect.stringContaining('away') }, second: { deleted: 8 } },
  })
  expect([await left('local'), await left('second'), await left('second', true)]).toEqual([
    all.length - gone,
    all.length - gone + 4,
    0,
  ])
  for (const store of ['local', 'second'])
    for (const { at } of kept) expect((await planAlone(world, store, at)).recovers_to).toBe(at)
  // The middle hour came back to who asks: there it is whole.
  expect((await world.restored(world.truths[4]!.at)).sha256).toBe(world.truths[4]!.sha256)

  // All of it the next day.
  writeFileSync(file, good)
  world.setNow(shifted(begin, 11 * DAY))
  await expire(world)
  world.setNow(shifted(begin, 12 * DAY))
  await expire(world)
  for (const store of ['local', 'second']) {
    expect([await left(store), await left(store, true)]).toEqual([all.length - gone, 0])
    for (const { at } of kept) expect((await planAlone(world, store, at)).recovers_to).toBe(at)
  }
  for (const { at, sha256 } of kept) expect(await world.restored(at, 'second')).toMatchObject({ sha256 })
  expect(await world.deps.catalog.verifyAudit()).toBeNull()
})
