import { storesFor } from '@salvor/policy/copies'
import type { Deps, JobHandler } from '@salvor/shared/ports/service'
import type { BackupWithCopies, Copy } from '@salvor/shared/vocabulary/backup'
import { recordCopies } from '../record-copies.ts'
import { refreshIndexes } from '../refresh-indexes.ts'
import { replicate } from '../replicate.ts'

/** Makes the copies of a backup that its rule wants and no store has yet. Those that arrived stay, whatever the others do. */
export const replicateCopy: JobHandler<'replicate-copy'> = {
  async handle(run, deps, signal, progress) {
    const backup = await deps.catalog.backup(run.params.backup_id)
    const missing = missingCopies(deps, backup)
    const { arrived, missed } = await replicate(deps, backup, missing, progress, signal)
    await recordCopies(deps, run, backup, arrived, missed)
    await refreshIndexes(deps, backup, arrived, signal)
    // A retry goes on with those that are missing still; one that no retry helps must not stop it for the others.
    const worst = missed.find(({ error }) => error.retryable) ?? missed[0]
    if (worst) throw worst.error
    return { result: { arrived: arrived.map(({ store }) => store) } }
  },
}

function missingCopies(deps: Deps, backup: BackupWithCopies): readonly Copy[] {
  const source = deps.settings().sources.get(backup.source)
  const known = new Map(backup.copies.map((copy) => [copy.store, copy]))
  // Besides its own rule: a store that has an incremental on it.
  const asked = [...known.keys()].filter((store) => deps.settings().stores.has(store))
  const wanted = new Set([...(source ? storesFor(source, backup.retention_class) : []), ...asked])
  return [...wanted]
    .map((store) => known.get(store) ?? pendingCopy(backup, store))
    .filter((copy) => copy.state === 'pending')
}

/** A store that was added to the configuration after the backup was taken. */
function pendingCopy(backup: BackupWithCopies, store: string): Copy {
  const key = `${backup.source}/${backup.filename}`
  return { backup_id: backup.id, store, state: 'pending', key, stored_at: null, upload: null }
}
