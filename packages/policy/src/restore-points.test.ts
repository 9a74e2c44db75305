import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { expect, test } from 'vitest'
import { pointAt, restorePoints } from './restore-points.ts'

function backup(id: string, minute: number, overrides: object = {}): BackupWithCopies {
  const consistent_at = `2025-11-27T20:${String(minute).padStart(2, '0')}:00.000000Z`
  return { id, consistent_at, type: 'full', parent: null, copies: [{ state: 'completed' }], ...overrides } as never
}

const backups = [
  backup('c', 30, { type: 'incremental', parent: 'a' }),
  backup('merged', 30),
  backup('a', 10),
  backup('b', 20, { copies: [{ state: 'corrupt' }, { state: 'pending' }] }),
  backup('before', 40, { type: 'pre_restore' }),
]

test('restore points are the states that a good copy holds, the oldest first, each once', () => {
  expect(restorePoints(backups).map(({ backup_id }) => backup_id)).toEqual(['a', 'merged'])
})

test('an instant is answered by the newest state that is not after it', () => {
  const points = restorePoints(backups)
  expect(pointAt(points, '2025-11-27T20:09:59.999999Z')).toBeNull()
  expect(pointAt(points, '2025-11-27T20:10:00.000000Z')?.backup_id).toBe('a')
  expect(pointAt(points, '2025-11-27T20:29:59.999999Z')?.backup_id).toBe('a')
  expect(pointAt(points, '2026-01-01T00:00:00.000000Z')?.backup_id).toBe('merged')
})
