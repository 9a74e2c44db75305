import { expect, test } from 'vitest'
import { assertKeyPrefix, assertObjectKey, isObjectKey } from './object-key.ts'

test.each([
  'clinic/backup_full_20251127_203930.db.zst',
  'clinic/backup_full_20251127_203930.RECOVERY.md',
  'clinic/backup_full_20251127_203930.keys.1.json',
  'tenants/a%2Fb%20c.db/backup_incremental_20251127_233000.pages.zst',
  'clinic/wal/00000001/000000010000000000000003.zst.enc',
  'manifest.json',
  'a',
])('%s is a key', (key) => {
  expect(() => assertObjectKey(key)).not.toThrow()
})

test.each([
  '',
  '/',
  '/etc/passwd',
  '../x',
  'a/../b',
  'a/./b',
  'a//b',
  'a/',
  './a',
  '.tmp-1',
  'a/.hidden',
  'a.',
  'a b',
  'a\\b',
  'a\0b',
  'a\nb',
  'C:\\x',
  'ä',
  'a?b',
  'a#b',
  'x'.repeat(241),
  Array.from({ length: 10 }, () => 'x'.repeat(99)).join('/'),
])('%j is refused as a key', (key) => {
  expect(isObjectKey(key)).toBe(false)
  expect(() => assertObjectKey(key)).toThrow(expect.objectContaining({ code: 'STORE_KEY_INVALID' }))
})

test.each(['', 'clinic/', 'clinic/backup_', 'clinic/wal/', 'cli', 'clinic/backup.', 'a-'])(
  '%j is the beginning of keys',
  (prefix) => {
    expect(() => assertKeyPrefix(prefix)).not.toThrow()
  },
)

test.each(['/', '../', 'a/../', './', 'a//', '.', 'a/.', 'a b', '\0'])('%j is refused as a beginning', (prefix) => {
  expect(() => assertKeyPrefix(prefix)).toThrow(expect.objectContaining({ code: 'STORE_KEY_INVALID' }))
})
