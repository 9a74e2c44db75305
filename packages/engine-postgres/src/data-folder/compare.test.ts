import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { ManifestInvalid } from '../base-backup/manifest-spool.ts'
import { compareWithManifest, FilesDiffer } from './compare.ts'
import { crcHex } from './crc32c.ts'
import { ManifestWriter, type NewEntry } from './manifest-writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'salvor-compare-'))
const manifest = join(folder, 'backup_manifest')
const journal = join(folder, 'journal')
const never = new AbortController().signal
afterAll(() => rmSync(folder, { recursive: true }))

const entry = (path: string, size = path.length, crc = 7): NewEntry => ({ path, size, crc, mtime: 1_700_000_000 })

function write(listed: readonly NewEntry[], found: readonly NewEntry[], change = (text: string) => text): void {
  const writer = new ManifestWriter()
  const text = [writer.head(17, '7575'), ...listed.map((file) => writer.file(file)), writer.tail()].join('')
  writeFileSync(manifest, change(text))
  writeFileSync(journal, found.map(({ path, size, crc }) => `${JSON.stringify([path, size, crcHex(crc)])}\n`).join(''))
}
const compare = (mostHeld?: number) => compareWithManifest(manifest, journal, never, mostHeld)

test('files in any order match, whatever bytes are in their names', async () => {
  const names = fc.uniqueArray(
    fc.string({ minLength: 1, unit: fc.integer({ min: 32, max: 255 }).map((c) => String.fromCharCode(c)) }),
    { maxLength: 20 },
  )
  const scene = names.chain((listed) =>
    fc.tuple(fc.constant(listed), fc.shuffledSubarray(listed, { minLength: listed.length })),
  )
  await fc.assert(
    fc.asyncProperty(scene, async ([listed, found]) => {
      write(
        listed.map((name) => entry(name)),
        found.map((name) => entry(name)),
      )
      const compared = await compare()
      expect(compared.files).toBe(listed.length)
      expect(await compare(3)).toEqual(compared)
    }),
    { numRuns: 50 },
  )
})

test('WAL segments need not be listed, everything else must be', async () => {
  const listed = [entry('PG_VERSION'), entry('pg_wal/archive_status/x.done')]
  write(listed, [...listed, entry('pg_wal/000000010000000000000002'), entry('backup_manifest')])
  expect(await compare()).toMatchObject({ files: 2, walRanges: [] })
  write(listed, [...listed, entry('base/1/evil.so')])
  await expect(compare()).rejects.toThrow('"base/1/evil.so" is not in backup_manifest')
})

test('a missing, a longer and a changed file are named', async () => {
  const listed = [entry('a'), entry('b'), entry('c')]
  write(listed, [entry('a'), entry('c')])
  await expect(compare()).rejects.toThrow('"b" is missing')
  await expect(compare(0.5)).rejects.toThrow('"b" is missing')
  write(listed, [entry('c'), entry('b', 2), entry('a')])
  await expect(compare()).rejects.toThrow('"b" has 2 bytes instead of 1')
  write(listed, [entry('b'), entry('a', 1, 8), entry('c')])
  await expect(compare()).rejects.toThrow(FilesDiffer)
})

test('a manifest that was changed, cut or added to is refused', async () => {
  const files = [entry('PG_VERSION')]
  const changes: ((text: string) => string)[] = [
    (text) => text.replace('PG_VERSION', 'PG_VERSIOM'),
    (text) => text.slice(0, -20),
    (text) => `${text}{}\n`,
    (text) => text.replace(/"Manifest-Checksum".*\n/, ''),
    (text) => text.replace('CRC32C', 'NONE'),
  ]
  for (const change of changes) {
    write(files, files, change)
    await expect(compare()).rejects.toThrow(ManifestInvalid)
  }
})
