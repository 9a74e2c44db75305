import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { pack, type Header } from 'tar-stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TarInvalid } from '../tar/header.ts'
import { crc32c } from './crc32c.ts'
import type { NewFile } from './new-file.ts'
import { Tree } from './tree.ts'
import { unpack } from './unpack.ts'

type Entry = Partial<Header> & { name: string; data?: string }

/** Of this process; 0 where the system does not tell. */
const openFiles = (): number => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0)

let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'salvor-unpack-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

async function unpacked(...entries: Entry[]): Promise<string[]> {
  const archive = pack()
  for (const { data, ...header } of entries) archive.entry(header, data ?? '')
  archive.finalize()
  const written: string[] = []
  await unpack(archive as AsyncIterable<Uint8Array>, new Tree(home), {
    written: ({ name }) => void written.push(name),
    zeroed: () => undefined,
  })
  return written
}

test('files and folders are private, and folders that nobody named are made', async () => {
  const written = await unpacked(
    { name: './base/', type: 'directory', mode: 0o777 },
    { name: 'base/1', mode: 0o666, data: 'one' },
    { name: './pg_wal/archive_status/x.done', data: '' },
  )
  expect(written).toEqual(['base/1', 'pg_wal/archive_status/x.done'])
  expect(readFileSync(join(home, 'base/1'), 'utf8')).toBe('one')
  expect(statSync(join(home, 'base/1')).mode & 0o777).toBe(0o600)
  expect(statSync(join(home, 'base')).mode & 0o777).toBe(0o700)
})

test.each<[string, Entry[]]>([
  ['an absolute name', [{ name: '/etc/cron.d/x', data: 'x' }]],
  ['a name that leads out', [{ name: 'base/../../x', data: 'x' }]],
  ['a folder that leads out', [{ name: '../x/', type: 'directory' }]],
  ['a symbolic link', [{ name: 'pg_tblspc/16400', type: 'symlink', linkname: '/tmp' }]],
  ['a hard link', [{ name: 'passwd', type: 'link', linkname: '/etc/passwd' }]],
  ['a device', [{ name: 'null', type: 'character-device' }]],
  ['a pipe', [{ name: 'pipe', type: 'fifo' }]],
  [
    'the same file twice',
    [
      { name: 'PG_VERSION', data: '17' },
      { name: './PG_VERSION', data: '18' },
    ],
  ],
  [
    'a file below a file',
    [
      { name: 'base', data: 'x' },
      { name: 'base/1', data: 'x' },
    ],
  ],
  [
    'a file where a folder is',
    [
      { name: 'base/1', data: 'x' },
      { name: 'base', data: 'x' },
    ],
  ],
  ['control characters', [{ name: 'a\nb', data: 'x' }]],
])('%s is refused by name', async (_what, entries) => {
  await expect(unpacked(...entries)).rejects.toThrow(TarInvalid)
})

test('large files are whole though every chunk takes the place of the one before, and are summed up as they come', async () => {
  const files = [300_000, 5, 900_001, 0, 70_000].map((size, n) => ({ name: `f${n}`, data: randomBytes(size) }))
  const archive = pack()
  for (const { name, data } of files) archive.entry({ name }, data)
  archive.finalize()
  const whole = await buffer(archive as AsyncIterable<Buffer>)
  const one = Buffer.alloc(200_000)
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < whole.length; at += one.length) {
      const length = whole.copy(one, 0, at)
      yield one.subarray(0, length)
      one.fill(0xff)
    }
  }
  const before = openFiles()
  const came: unknown[] = []
  const written = ({ name, size, crc }: NewFile): void => void came.push([name, size, crc])
  await unpack(chunks(), new Tree(home), { written, zeroed: () => undefined })
  expect(came).toEqual(files.map(({ name, data }) => [name, data.length, crc32c(data)]))
  for (const { name, data } of files) expect(readFileSync(join(home, name)).equals(data)).toBe(true)
  expect(openFiles()).toBe(before)
})

test('nothing is written through a link that lies there', async () => {
  const outside = mkdtempSync(join(tmpdir(), 'salvor-outside-'))
  symlinkSync(join(outside, 'target'), join(home, 'PG_VERSION'))
  await expect(unpacked({ name: 'PG_VERSION', data: 'x' })).rejects.toThrow(TarInvalid)
  expect(readdirSync(outside)).toEqual([])
  rmSync(outside, { recursive: true })
})
