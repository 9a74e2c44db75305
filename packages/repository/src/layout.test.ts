import { assert, property, string } from 'fast-check'
import { isObjectKey } from '@salvor/shared/vocabulary/object-key'
import { expect, test } from 'vitest'
import { artifactName, backupKeys, claimKey, encodeSourcePath, parseManifestKey, stemFits, stemOf } from './layout.ts'

const TIME = '2025-11-27T20:39:30.294774Z'

test('objects are called what the format says', () => {
  expect(stemOf('full', TIME)).toBe('backup_full_20251127_203930')
  expect(stemOf('incremental', '2025-11-27T23:30:00.000000Z')).toBe('backup_incremental_20251127_233000')
  expect(stemOf('pre_restore', '2025-11-28T09:00:00.999999Z')).toBe('pre_restore_backup_20251128_090000')
  const stem = stemOf('full', TIME)
  expect(artifactName(stem, 'db', 'zstd', false)).toBe('backup_full_20251127_203930.db.zst')
  expect(artifactName(stem, 'tar', 'zstd', true)).toBe('backup_full_20251127_203930.tar.zst.enc')
  expect(artifactName(stem, 'tar', 'gzip', false)).toBe('backup_full_20251127_203930.tar.gz')
  expect(backupKeys('tenants/a%20b.db', stem)).toEqual({
    manifest: 'tenants/a%20b.db/backup_full_20251127_203930.manifest.json',
    index: 'tenants/a%20b.db/backup_full_20251127_203930.index.zst',
    recoverScript: 'tenants/a%20b.db/backup_full_20251127_203930.recover.py',
    recovery: 'tenants/a%20b.db/backup_full_20251127_203930.RECOVERY.md',
    keysPrefix: 'tenants/a%20b.db/backup_full_20251127_203930.keys.',
  })
  expect(claimKey('clinic', 3)).toBe('clinic/claims/3.json')
})

test('a manifest key gives back its source and stem, any other key nothing', () => {
  const stem = stemOf('full', TIME)
  expect(parseManifestKey(backupKeys('tenants/a.db', stem).manifest)).toEqual({ source: 'tenants/a.db', stem })
  for (const key of ['manifest.json', `${stem}.manifest.json`, `clinic/${stem}.index.zst`, 'clinic/x.manifest.json'])
    expect(parseManifestKey(key), `key ${key}`).toBeNull()
})

test('a stem fits its type and an attempt of the same second or up to an hour before', () => {
  expect(stemFits('backup_full_20251127_203930', 'full', TIME)).toBe(true)
  expect(stemFits('backup_full_20251127_203931', 'full', TIME)).toBe(true)
  expect(stemFits('backup_full_20251127_213930', 'full', TIME)).toBe(true)
  expect(stemFits('backup_full_20251127_213931', 'full', TIME)).toBe(false)
  expect(stemFits('backup_full_20251127_203929', 'full', TIME)).toBe(false)
  expect(stemFits('backup_full_20251127_203930', 'incremental', TIME)).toBe(false)
  expect(stemFits('backup_full_20251127_206030', 'full', TIME)).toBe(false)
  expect(stemFits('../backup_full_20251127_203930', 'full', TIME)).toBe(false)
})

test('a file of any name becomes a source whose keys are allowed, and no two names become one', () => {
  expect(encodeSourcePath('a b.db')).toBe('a%20b.db')
  expect(encodeSourcePath('.hidden/ä.db-')).toBe('%2Ehidden/%C3%A4.db%2D')
  expect(encodeSourcePath('..')).toBe('%2E%2E')
  const part = string({ minLength: 1, maxLength: 20, unit: 'grapheme' })
    .map((text) => text.toWellFormed().replaceAll('/', '').replaceAll('\0', ''))
    .filter((text) => text !== '')
  assert(
    property(part, part, (a, b) => {
      expect(isObjectKey(`tenants/${encodeSourcePath(`${a}/${b}`)}/x`)).toBe(true)
      expect(encodeSourcePath(a) === encodeSourcePath(b)).toBe(a === b)
      expect(Buffer.from(decodeURIComponent(encodeSourcePath(a))).equals(Buffer.from(a))).toBe(true)
    }),
  )
})
