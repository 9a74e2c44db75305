import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FilesDiffer } from '../data-folder/compare.ts'
import { ManifestReader } from '../data-folder/manifest.ts'
import { dropMap, parseMap } from './map.ts'

const never = new AbortController().signal
let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'salvor-map-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

test('a map is read as a server writes it, line breaks and backslashes in names too', () => {
  expect(parseMap('16400 /srv/fast\n16401 /srv/a b\\\\c\\\nd\n')).toEqual([
    { oid: '16400', places: ['/srv/fast', '/srv/fast'] },
    { oid: '16401', places: ['/srv/a b\\c\nd', '/srv/a b\\\\c\nd'] },
  ])
  expect(parseMap('16400 /srv/a\\b\n')[0]?.places).toContain('/srv/a\\b')
  expect(parseMap('')).toEqual([])
})

test.each([
  '../../etc /srv/fast\n',
  '16400\n',
  '16400 /srv/fast',
  ' 16400 /srv/fast\n',
  '0 /srv/fast\n',
  '16400 /srv/fast\n\n',
  '99999999999 /srv/fast\n',
])('a hostile line is refused: %j', (text) => {
  expect(() => parseMap(text)).toThrow(FilesDiffer)
})

const EXPECTED = [{ oid: '16400', location: '/srv/fast' }]

test.each([
  ['another place', '16400 /etc\n'],
  ['a tablespace that the backup does not have', '16400 /srv/fast\n16401 /etc\n'],
  ['the same one twice', '16400 /srv/fast\n16400 /srv/fast\n'],
  ['none', ''],
])('a map that names %s is refused', async (_what, text) => {
  writeFileSync(join(home, 'tablespace_map'), text)
  await expect(dropMap(home, EXPECTED, never)).rejects.toThrow(FilesDiffer)
})

const entry = (path: string): string =>
  `{ "Path": "${path}", "Size": 1, "Last-Modified": "2026-01-01 00:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" }`

test.each([[['tablespace_map', 'x']], [['x', 'tablespace_map']], [['x', 'tablespace_map', 'y']], [['tablespace_map']]])(
  'the map goes, and the manifest is whole without it: %j',
  async (paths) => {
    const body = `{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n${paths.map(entry).join(',\n')}\n],\n"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }\n],\n`
    const sum = createHash('sha256').update(body).digest('hex')
    writeFileSync(join(home, 'backup_manifest'), `${body}"Manifest-Checksum": "${sum}"}\n`)
    writeFileSync(join(home, 'tablespace_map'), '16400 /srv/fast\n')
    await dropMap(home, EXPECTED, never)
    expect(existsSync(join(home, 'tablespace_map'))).toBe(false)
    const reader = new ManifestReader(join(home, 'backup_manifest'), never)
    const left: string[] = []
    for await (const { path } of reader.files()) left.push(path)
    expect(left).toEqual(paths.filter((path) => path !== 'tablespace_map'))
    expect(reader.walRanges).toHaveLength(1)
    expect(() => JSON.parse(readFileSync(join(home, 'backup_manifest'), 'utf8'))).not.toThrow()
  },
)
