import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test } from 'vitest'
import { bytes, giving, never, request } from './backup.fixture.ts'
import { storeIndexBytes } from './store-index.ts'
import { writeBackup } from './write-backup.ts'

test('the index of a store shows every backup, newest first, as the list command does', async () => {
  const { backup } = await writeBackup(request(new MemoryStore()), giving(bytes(10)), never)
  const copies: BackupWithCopies['copies'] = [
    { backup_id: backup.id, store: 'local', state: 'proven', key: 'clinic/x', stored_at: null, upload: 'a token' },
  ]
  const older = { ...backup, timestamp: '2025-11-01T00:00:00.000000Z', copies: [] }
  const file = storeIndexBytes([older, { ...backup, copies }]).toString()
  const { backups, ...head } = JSON.parse(file) as { backups: Record<string, unknown>[] }
  expect(head).toEqual({ format: 'salvor-store', version: 1 })
  expect(backups.map(({ timestamp }) => timestamp)).toEqual([backup.timestamp, older.timestamp])
  expect(Object.keys(backups[0]!)).toEqual(
    'id source engine type retention_class state filename timestamp consistent_at size_bytes source_bytes checksum_sha256 source_db retention_until parent duration_ms encrypted copies'.split(
      ' ',
    ),
  )
  expect(backups[0]!['copies']).toEqual([{ store: 'local', state: 'proven', key: 'clinic/x' }])
  expect(file.endsWith('}\n')).toBe(true)
})
