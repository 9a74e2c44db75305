import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'

/** A backup as every document shows it: the manifest's snake_case names; fields may be added, these stay. */
export function backupDocument(backup: BackupWithCopies): object {
  const {
    id,
    source,
    engine,
    type,
    retention_class,
    state,
    filename,
    timestamp,
    consistent_at,
    size_bytes,
    source_bytes,
    checksum_sha256,
    source_db,
    retention_until,
    parent,
    duration_ms,
    encrypted,
  } = backup
  return {
    id,
    source,
    engine,
    type,
    retention_class,
    state,
    filename,
    timestamp,
    consistent_at,
    size_bytes,
    source_bytes,
    checksum_sha256,
    source_db,
    retention_until,
    parent,
    duration_ms,
    encrypted,
    copies: backup.copies.map((copy) => ({ store: copy.store, state: copy.state, key: copy.key })),
  }
}
