import type { Deps } from '@salvor/shared/ports/service'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'

/** A full of the very instant of `tip`: what a merge makes, so an earlier run of it has. */
export async function fullOf(deps: Deps, tip: BackupWithCopies): Promise<BackupWithCopies | undefined> {
  if (tip.parent === null) return tip
  const backups = await deps.catalog.backups({ source: tip.source })
  return backups.find(
    ({ type, state, consistent_at }) => type === 'full' && state !== 'corrupt' && consistent_at === tip.consistent_at,
  )
}
