import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Backup, BackupState, Copy, CopyState } from '@salvor/shared/vocabulary/backup'
import type { Verification } from '@salvor/shared/vocabulary/verification'
import { backupStateOf, copyStateAfter } from './copy-state.ts'
import type { Scope } from './scope.ts'
import type { BackupTable } from './tables.ts'

/** Inserts the backup, or replaces what is known about it; its state then follows its copies, if it has any. */
export async function recordBackup(scope: Scope, backup: Backup): Promise<void> {
  const facts = factsOf(backup)
  await scope.db
    .insertInto('backups')
    .values({ ...facts, state: backup.state })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(facts))
    .execute()
  const { id, size_bytes, checksum_sha256, manifest_sha256 } = backup
  await recordArtifact(scope, id, 'artifact', { size_bytes, sha256: checksum_sha256 })
  await recordArtifact(scope, id, 'manifest', { size_bytes: null, sha256: manifest_sha256 })
  await followCopies(scope, id)
}

/** Named one by one: a caller's object may hold more than the catalog's words. */
function factsOf(backup: Backup): Omit<BackupTable, 'state'> {
  return {
    id: backup.id,
    source: backup.source,
    engine: backup.engine,
    type: backup.type,
    retention_class: backup.retention_class,
    filename: backup.filename,
    timestamp: backup.timestamp,
    consistent_at: backup.consistent_at,
    source_bytes: backup.source_bytes,
    source_db: backup.source_db,
    retention_until: backup.retention_until,
    parent: backup.parent,
    duration_ms: backup.duration_ms,
    encrypted: backup.encrypted ? 1 : 0,
  }
}

async function recordArtifact(
  { db }: Scope,
  backup_id: string,
  role: 'artifact' | 'manifest',
  facts: { readonly size_bytes: number | null; readonly sha256: string },
): Promise<void> {
  await db
    .insertInto('artifacts')
    .values({ backup_id, role, ...facts })
    .onConflict((conflict) => conflict.columns(['backup_id', 'role']).doUpdateSet(facts))
    .execute()
}

export async function recordCopy(scope: Scope, copy: Copy): Promise<void> {
  const { backup_id, store, state, key, stored_at, upload } = copy
  await holdBackup(scope, backup_id)
  await scope.db
    .insertInto('copies')
    .values({ backup_id, store, state, key, stored_at, upload })
    .onConflict((conflict) => conflict.columns(['backup_id', 'store']).doUpdateSet({ state, key, stored_at, upload }))
    .execute()
  await followCopies(scope, backup_id)
}

/** Recording one verification twice counts once. */
export async function recordVerification(scope: Scope, verification: Verification): Promise<void> {
  const { id, backup_id, store, level, ok, checks, started_at, duration_ms } = verification
  await holdBackup(scope, backup_id)
  const made = await scope.db
    .insertInto('verifications')
    .values({ id, backup_id, store, level, ok: ok ? 1 : 0, checks: JSON.stringify(checks), started_at, duration_ms })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (!made) return
  const copy = await scope.db
    .selectFrom('copies')
    .select(['state', 'stored_at'])
    .where('backup_id', '=', backup_id)
    .where('store', '=', store)
    .executeTakeFirst()
  if (!copy) return
  const state = copyStateAfter(copy.state as CopyState, level, ok)
  const stored_at = copy.stored_at ?? (state === 'pending' ? null : scope.now)
  await scope.db
    .updateTable('copies')
    .set({ state, stored_at })
    .where('backup_id', '=', backup_id)
    .where('store', '=', store)
    .execute()
  await followCopies(scope, backup_id)
}

/** The state of a backup rests on all its copies, so whoever changes one holds the backup until commit. */
async function holdBackup({ db, rowLocks }: Scope, id: string): Promise<void> {
  const backup = await db
    .selectFrom('backups')
    .select('id')
    .where('id', '=', id)
    .$if(rowLocks, (query) => query.forUpdate())
    .executeTakeFirst()
  if (!backup) throw new SalvorError('BACKUP_UNKNOWN', { backup: id })
}

async function followCopies({ db }: Scope, id: string): Promise<void> {
  const backup = await db.selectFrom('backups').select('state').where('id', '=', id).executeTakeFirstOrThrow()
  const copies = await db.selectFrom('copies').select('state').where('backup_id', '=', id).execute()
  const present = backup.state as BackupState
  const states = copies.map((copy) => copy.state as CopyState)
  const state = backupStateOf(present, states)
  if (state !== present) await db.updateTable('backups').set({ state }).where('id', '=', id).execute()
}

export async function saveUpload(scope: Scope, backupId: string, store: string, upload: string | null): Promise<void> {
  await scope.db
    .updateTable('copies')
    .set({ upload })
    .where('backup_id', '=', backupId)
    .where('store', '=', store)
    .where('state', '=', 'pending')
    .execute()
}
