import type {
  Backup,
  BackupState,
  BackupType,
  BackupWithCopies,
  Copy,
  CopyState,
  RetentionClass,
} from '@salvor/shared/vocabulary/backup'
import type { Kysely, NotNull } from 'kysely'
import type { BackupTable, Tables } from './tables.ts'

type Joined = BackupTable & { size_bytes: number | null; checksum_sha256: string; manifest_sha256: string }

/** Backups with what lies in `artifacts` about their two objects. Left joins, so that a list reads backups in their order. */
export function selectBackups(db: Kysely<Tables>) {
  return db
    .selectFrom('backups')
    .leftJoin('artifacts as artifact', (join) =>
      join.onRef('artifact.backup_id', '=', 'backups.id').on('artifact.role', '=', 'artifact'),
    )
    .leftJoin('artifacts as manifest', (join) =>
      join.onRef('manifest.backup_id', '=', 'backups.id').on('manifest.role', '=', 'manifest'),
    )
    .selectAll('backups')
    .select(['artifact.size_bytes', 'artifact.sha256 as checksum_sha256', 'manifest.sha256 as manifest_sha256'])
    .$narrowType<{ checksum_sha256: NotNull; manifest_sha256: NotNull }>()
}

export function backupOf(row: Joined): Backup {
  return {
    id: row.id,
    source: row.source,
    engine: row.engine,
    type: row.type as BackupType,
    retention_class: row.retention_class as RetentionClass,
    state: row.state as BackupState,
    filename: row.filename,
    timestamp: row.timestamp,
    consistent_at: row.consistent_at,
    size_bytes: row.size_bytes ?? 0,
    source_bytes: row.source_bytes,
    checksum_sha256: row.checksum_sha256,
    source_db: row.source_db,
    retention_until: row.retention_until,
    parent: row.parent,
    duration_ms: row.duration_ms,
    encrypted: row.encrypted === 1,
    manifest_sha256: row.manifest_sha256,
  }
}

export function copyOf(row: Tables['copies']): Copy {
  return { ...row, state: row.state as CopyState }
}

export function withCopies(rows: readonly Joined[], copies: readonly Tables['copies'][]): readonly BackupWithCopies[] {
  const ofBackup = Map.groupBy(copies, (copy) => copy.backup_id)
  return rows.map((row) => ({ ...backupOf(row), copies: (ofBackup.get(row.id) ?? []).map(copyOf) }))
}
