import { type KeptSince, type Thinned, thinned } from '@salvor/policy/thinning'
import { changeDocumentKey, changeSetPrefix } from '@salvor/repository/change-layout'
import { newestClaim } from '@salvor/repository/newest-claim'
import { assertChangesStored } from '@salvor/repository/read-changes'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { Store } from '@salvor/shared/ports/store'
import type { StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { elapsedMs, type Instant } from '@salvor/shared/vocabulary/instant'

/** A restore that was planned before they began to leave may want them still. */
const STAYS_MS = 6 * 3_600_000
/** Deleted, then forgotten together. */
const AT_ONCE = 200
const CAUSE = { service: 'replicator' } as const

interface Wish {
  readonly source: string
  readonly store: string
  readonly since: KeptSince
  readonly now: Instant
  readonly proven: readonly Instant[]
}

/** Sets of one store. */
export interface Expired {
  /** That nobody is given from now on. */
  readonly leaving: number
  readonly deleted: number
}

/**
 * What is not kept in one store: deletes what has been leaving for a while, and lets the rest leave. Killed anywhere, the catalog gives nobody what may be
 * gone, what is left in the store is a line of its own or a part of one, and the next run goes on.
 */
export async function expireInStore(deps: Deps, wish: Wish, signal: AbortSignal): Promise<Expired> {
  const { source, store: name, since } = wish
  const staying = await setsIn(deps, { source, store: name, until: since.every })
  const leaving = await setsIn(deps, { source, store: name, leaving: true })
  const all = [...staying, ...leaving].toSorted((a, b) => (a.to_at < b.to_at ? -1 : a.to_at > b.to_at ? 1 : 0))
  const groups = thinned(all, since, wish.proven)
  const gone = new Set(groups.flatMap(({ sets }) => sets))
  const back = leaving.filter((set) => !gone.has(set))
  const fresh = [...gone].filter(({ leaving_at }) => leaving_at === null)
  if (back.length + fresh.length > 0)
    await deps.catalog.transaction(CAUSE, async (tx) => {
      if (back.length > 0) await tx.leaveChangeSets({ source, store: name, names: back }, false)
      if (fresh.length > 0) await tx.leaveChangeSets({ source, store: name, names: fresh }, true)
    })
  const due = groups.map(({ sets, by }) => ({ sets: sets.filter((set) => isDue(set, wish.now)), by }))
  let deleted = 0
  for (const group of due.filter(({ sets }) => sets.length > 0)) {
    if (deleted === 0) await assertOurs(deps, wish, signal)
    deleted += await deleteGroup(deps, wish, group, signal)
  }
  if (fresh.length + deleted > 0)
    deps.log.info({ source, store: name, leaving: fresh.length, deleted }, 'change sets were thinned out')
  return { leaving: fresh.length, deleted }
}

async function setsIn(
  { catalog }: Deps,
  filter: Parameters<Deps['catalog']['changeSets']>[0],
): Promise<StoredChangeSet[]> {
  const sets: StoredChangeSet[] = []
  for await (const set of catalog.changeSets(filter)) sets.push(set)
  return sets
}

function isDue({ leaving_at }: StoredChangeSet, now: Instant): boolean {
  return leaving_at !== null && elapsedMs(leaving_at, now) >= STAYS_MS
}

/** Another catalog over the same place answers for its own. */
async function assertOurs(deps: Deps, { source, store: name }: Wish, signal: AbortSignal) {
  const { catalog, keyring } = deps
  const claim = await newestClaim(deps.store(name), keyring, source, signal)
  if (claim === null || (claim.catalog_id === catalog.id && claim.epoch === catalog.epoch)) return
  throw new SalvorError('SOURCE_CLAIMED', { source, store: name, owner: claim.catalog_id })
}

/** Only where the set that brings what they brought is there, bit by bit. The newest first: what is left can always be reached. */
async function deleteGroup(
  deps: Deps,
  { source, store: name }: Wish,
  { sets, by }: Thinned,
  signal: AbortSignal,
): Promise<number> {
  const store = deps.store(name)
  const { catalog, keyring, log } = deps
  try {
    if (by !== null) await assertChangesStored({ ...by, store, keyring }, signal)
  } catch (thrown) {
    const error = asSalvorError(thrown)
    if (error.code !== 'ARTIFACT_CORRUPT' && error.code !== 'STORE_NOT_FOUND') throw error
    log.warn({ source, store: name, set: by?.name, error }, 'change sets stay: the one that replaces them is not good')
    await catalog.transaction(CAUSE, (tx) => tx.leaveChangeSets({ source, store: name, names: sets }, false))
    return 0
  }
  for (let at = 0; at < sets.length; at += AT_ONCE) {
    const some = sets.slice(at, at + AT_ONCE)
    for (const set of some) await deleteSet(store, set, signal)
    await catalog.transaction(CAUSE, (tx) => tx.forgetChangeSets({ source, store: name, names: some }))
  }
  return sets.length
}

/** The document goes first: without it there is no such set. */
async function deleteSet(store: Store, { source, base, name }: StoredChangeSet, signal: AbortSignal): Promise<void> {
  const place = { source, base, name }
  await store.delete(changeDocumentKey(place), signal)
  for await (const { key } of store.list(changeSetPrefix(place), signal)) await store.delete(key, signal)
}
