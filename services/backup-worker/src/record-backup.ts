import { storesFor } from '@salvor/policy/copies'
import type { CatalogTransaction } from '@salvor/shared/ports/catalog'
import type { SourceSettings } from '@salvor/shared/ports/service'
import type { Backup, BackupWithCopies } from '@salvor/shared/vocabulary/backup'

export interface HowTaken {
  /** What an incremental stands on, the full first. */
  readonly below?: readonly BackupWithCopies[]
  /** Why a full was taken in the place of an incremental. */
  readonly full_because?: string
  /** Backups that it was put together from. */
  readonly merged?: number
}

/** Writes a finished backup into the catalog: its first copy, the copies still to be made (of what it stands on too), the event, the audit row. */
export async function recordBackup(
  tx: CatalogTransaction,
  source: SourceSettings,
  backup: Backup,
  store: string,
  run_id: string,
  how: HowTaken = {},
): Promise<void> {
  const { id, type, retention_class, filename, size_bytes, source_bytes, duration_ms } = backup
  await tx.recordBackup(backup)
  const key = `${backup.source}/${filename}`
  await tx.recordCopy({ backup_id: id, store, state: 'completed', key, stored_at: tx.now, upload: null })
  for (const other of storesFor(source, retention_class)) {
    if (other === store) continue
    await tx.recordCopy({ backup_id: id, store: other, state: 'pending', key, stored_at: null, upload: null })
    await pullParents(tx, how.below ?? [], other)
  }
  await tx.publish({
    type: 'backup.completed',
    subject: backup.source,
    data: {
      source: backup.source,
      backup_id: id,
      run_id,
      type,
      retention_class,
      store,
      filename,
      size_bytes,
      source_bytes,
      duration_ms,
      ...(how.full_because === undefined ? {} : { full_because: how.full_because }),
      ...(how.merged === undefined ? {} : { merged: how.merged }),
    },
  })
  const action = how.merged === undefined ? `backup.${type}` : 'backup.merge'
  await tx.audit({ actor: 'backup-worker', action, object: id, outcome: 'completed' })
}

/** A copy of an incremental is worth nothing where the backups below it are not. */
async function pullParents(tx: CatalogTransaction, below: readonly BackupWithCopies[], store: string): Promise<void> {
  for (const parent of below) {
    if (parent.copies.some((copy) => copy.store === store)) continue
    const key = `${parent.source}/${parent.filename}`
    await tx.recordCopy({ backup_id: parent.id, store, state: 'pending', key, stored_at: null, upload: null })
    const unique_key = `replicate/${parent.id}/${store}`
    await tx.enqueue({ job: 'replicate-copy', source: parent.source, params: { backup_id: parent.id }, unique_key })
  }
}
