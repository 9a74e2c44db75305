import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { pick } from './pick.ts'

const ROW = [
  'id',
  'source',
  'engine',
  'type',
  'retention_class',
  'state',
  'filename',
  'timestamp',
  'consistent_at',
  'size_bytes',
  'source_bytes',
  'checksum_sha256',
  'source_db',
  'retention_until',
  'parent',
  'duration_ms',
  'encrypted',
] as const

/** The root `manifest.json` of a local store (docs/format.md section 9): the rows of `salvor list --json`, newest first. */
export function storeIndexBytes(backups: readonly BackupWithCopies[]): Buffer {
  const rows = backups.map(rowOf).sort((a, b) => {
    if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? 1 : -1
    return a.id < b.id ? 1 : -1
  })
  return Buffer.from(`${JSON.stringify({ format: 'salvor-store', version: 1, backups: rows }, null, 2)}\n`)
}

/** A backup as every document shows it: fields may be added, these stay. */
export function rowOf(backup: BackupWithCopies) {
  return { ...pick(backup, ROW), copies: backup.copies.map((copy) => pick(copy, ['store', 'state', 'key'])) }
}
