import { isFullLength, isStretchable, possibleParents, whyNoParent } from '@salvor/policy/chain'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'

/** Parents tried before a full is taken: behind a bad one an older one may be good. */
const PARENTS_TRIED = 3
const BACKUPS_LOOKED_AT = 50

/** What an incremental can stand on, the full first and the parent last; else why it cannot. */
export type Parent = { readonly below: readonly BackupWithCopies[] } | { readonly reason: string }

/**
 * The newest backup that can carry an incremental. Where the newest chain has its full length that is one on a newer full (the
 * merged one), never an older link of the same chain; until there is one, a chain that is to be merged goes on.
 */
export async function findParent(deps: Deps, source: SourceSettings): Promise<Parent> {
  let reason = 'the source has no full backup yet'
  let long: readonly BackupWithCopies[] | null = null
  let tried = 0
  const backups = await deps.catalog.backups({ source: source.name, limit: BACKUPS_LOOKED_AT })
  for (const parent of possibleParents(backups)) {
    if (long?.some(({ id }) => id === parent.id)) continue
    if (long && parent.consistent_at < long[0]!.consistent_at) break
    if ((tried += 1) > PARENTS_TRIED) break
    const below = await deps.catalog.chain(parent.id)
    if (long && below[0]!.id === long[0]!.id) continue
    const refused = whyNoParent(below, source)
    if (refused === null) return { below }
    reason = refused
    if (isFullLength(below, source)) long ??= below
  }
  if (long && isStretchable(long, source)) return { below: long }
  return { reason }
}
