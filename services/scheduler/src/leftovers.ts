import { brokenOff, manifestAt } from '@salvor/repository/broken-off'
import { newestClaim } from '@salvor/repository/newest-claim'
import type { JobName } from '@salvor/shared/messages/jobs'
import type { Deps } from '@salvor/shared/ports/service'
import type { Store, Unfinished } from '@salvor/shared/ports/store'

/** Younger ones may be at work, or be gone on with. */
export const LEFT_FOR_MS = 48 * 3600_000
/** Jobs that write into the folder of a source. */
const WRITERS: readonly JobName[] = ['take-backup', 'merge-chain', 'replicate-copy', 'restore-backup']

export interface Removed {
  readonly uploads: number
  readonly objects: number
  readonly bytes: number
}

/**
 * Removes what attempts that broke off left in a store: unfinished uploads, and objects of backups that have no manifest and
 * that the catalog does not know. Only what is old by the store's own clock, of a source that this catalog holds, while no
 * run writes into its folder (a run that begins meanwhile takes new names, and an upload that it could go on with is kept).
 */
export async function removeLeftovers(deps: Deps, store: Store, signal: AbortSignal): Promise<Removed> {
  const known = await knownAt(deps, store.name)
  const free = freeSources(deps, store, signal)
  const uploads = await dropUploads(store, known, free, signal)
  let objects = 0
  let bytes = 0
  for await (const group of brokenOff(store.list('', signal))) {
    if (known.has(group.at) || !(await free(group.source))) continue
    const ages = await Promise.all(group.objects.map(({ key }) => store.age(key, signal)))
    if (!ages.every((age) => age === null || age > LEFT_FOR_MS)) continue
    if ((await store.head(manifestAt(group.at), signal)) !== null) continue
    for (const { key, size } of group.objects) {
      await store.delete(key, signal)
      objects += 1
      bytes += size
    }
  }
  return { uploads, objects, bytes }
}

async function dropUploads(
  store: Store,
  known: ReadonlySet<string>,
  free: (source: string) => Promise<boolean>,
  signal: AbortSignal,
): Promise<number> {
  const old: Unfinished[] = []
  for await (const one of store.unfinished(signal)) if (one.age_ms > LEFT_FOR_MS) old.push(one)
  let dropped = 0
  for (const one of old) {
    // A file without an object's name is told apart by the store: it names none of a living process.
    if (one.key !== null && (known.has(stemAt(one.key)) || !(await free(sourceOf(one.key))))) continue
    await store.drop(one, signal)
    dropped += 1
  }
  return dropped
}

/** `<source>/<stem>` of every backup that has, or is to have, a copy in this store. */
async function knownAt(deps: Deps, store: string): Promise<ReadonlySet<string>> {
  const backups = await deps.catalog.backups({})
  const settings = deps.settings().sources
  const wanted = (source: string): boolean => settings.get(source)?.copies.some((rule) => rule.store === store) ?? false
  const here = backups.filter((b) => wanted(b.source) || b.copies.some((copy) => copy.store === store))
  return new Set(here.map((backup) => stemAt(`${backup.source}/${backup.filename}`)))
}

/** Whether this catalog alone answers for a source there, and nothing writes into its folder now. Looked up anew each time, the claim once. */
function freeSources(deps: Deps, store: Store, signal: AbortSignal): (source: string) => Promise<boolean> {
  const held = new Map<string, Promise<boolean>>()
  const holds = async (source: string): Promise<boolean> => {
    if (!(await deps.catalog.sources()).some(({ name }) => name === source)) return false
    const claim = await newestClaim(store, deps.keyring, source, signal)
    return claim === null || (claim.catalog_id === deps.catalog.id && claim.epoch === deps.catalog.epoch)
  }
  return async (source) => {
    if (!held.has(source)) held.set(source, holds(source))
    if (!(await held.get(source))) return false
    return (await deps.catalog.runs({ states: ['running'], jobs: WRITERS, source, limit: 1 })).length === 0
  }
}

function sourceOf(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf('/')))
}

function stemAt(key: string): string {
  const source = sourceOf(key)
  return `${source}/${key.slice(source.length + 1).split('.', 1)[0]!}`
}
