import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytes, codeOf, listAll, never, put, readAll } from '@salvor/testkit/contracts/store-bytes'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bytesOf } from '@salvor/shared/vocabulary/amounts'
import { LocalStoreConfig } from './config.ts'
import { adapter, LocalStore } from './index.ts'

const KEY = 'clinic/backup_full_20251127_203930.db.zst'
let folder = ''
let path = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'salvor-store-'))
  path = join(folder, 'backups')
})
afterEach(() => rm(folder, { recursive: true }))

const temporaries = async (): Promise<string[]> => (await readdir(path)).filter((name) => name.startsWith('.tmp-'))

test('nobody but the owner can read objects or look into folders', async () => {
  const store = new LocalStore('local', { path })
  await put(store, 'clinic/wal/1/x', bytes(10))
  await store.replace('manifest.json', bytes(10), never)
  const modes = ['', 'clinic', 'clinic/wal', 'clinic/wal/1', 'clinic/wal/1/x', 'manifest.json'].map(async (name) => {
    return ((await stat(join(path, name))).mode & 0o777).toString(8)
  })
  expect(await Promise.all(modes)).toEqual(['700', '700', '700', '700', '600', '600'])
  expect(await temporaries()).toEqual([])
})

test('a link in the place of a folder or an object is never followed', async () => {
  const outside = join(folder, 'outside')
  await mkdir(join(outside, 'inner'), { recursive: true })
  await writeFile(join(outside, 'secret'), 'secret')
  const store = new LocalStore('local', { path })
  await put(store, 'real/x', bytes(10))
  await symlink(outside, join(path, 'clinic'))
  await symlink(join(outside, 'secret'), join(path, 'real', 'linked'))
  for (const key of ['clinic/secret', 'clinic/inner/new', 'real/linked']) {
    expect(await codeOf(readAll(store, key))).toBe('STORE_DENIED')
    await expect(async () => store.localPath(key)).rejects.toThrow(/STORE_DENIED|symbolic link|ENOENT|no object/)
  }
  expect(await codeOf(put(store, 'clinic/secret', bytes(3)))).not.toBe('resolved')
  expect(await codeOf(put(store, 'clinic/inner/new', bytes(3)))).not.toBe('resolved')
  expect(await codeOf(put(store, 'real/linked', bytes(3)))).not.toBe('resolved')
  expect(await codeOf(store.delete('clinic/secret', never))).toBe('STORE_DENIED')
  expect(await codeOf(store.replace('clinic/secret', bytes(3), never))).not.toBe('resolved')
  expect((await listAll(store)).map((object) => object.key)).toEqual(['real/x'])
  expect((await readdir(outside)).toSorted()).toEqual(['inner', 'secret'])
  expect(await readdir(join(outside, 'inner'))).toEqual([])
})

test('the store itself may be reached through a link', async () => {
  await mkdir(join(folder, 'disk'))
  await symlink(join(folder, 'disk'), path)
  const store = new LocalStore('local', { path })
  await put(store, KEY, bytes(10))
  expect(await readAll(store, KEY)).toHaveLength(10)
})

test('a pipe in the place of an object does not block the reader', async () => {
  const store = new LocalStore('local', { path })
  await put(store, KEY, bytes(10))
  execFileSync('mkfifo', [join(path, 'clinic', 'pipe')])
  expect(await codeOf(readAll(store, 'clinic/pipe'))).toBe('STORE_DENIED')
  expect(await store.head('clinic/pipe', never)).toBeNull()
})

test('an object that was cut on the disk is told, not ended early', async () => {
  const store = new LocalStore('local', { path })
  await put(store, KEY, bytes(3_000_000))
  execFileSync('truncate', ['-s', '1000', join(path, KEY)])
  expect(await codeOf(readAll(store, KEY, { offset: 0, length: 3_000_000 }))).toBe('STORE_TRUNCATED')
  expect(await store.head(KEY, never)).toMatchObject({ size: 1000 })
})

test('bytes that come back from the disk as others than were written are never acknowledged', async () => {
  const store = new LocalStore('local', { path })
  const data = bytes(3_000_000)
  const sha256 = createHash('sha256').update(data).digest('hex')
  const written = async (key: string) => {
    const writer = await store.create(key, { hashed: true }, never)
    await writer.write(data.subarray(0, 2_000_000))
    await writer.write(data.subarray(2_000_000))
    return writer
  }
  for (const at of [0, 1_234_567, 2_999_999]) {
    const writer = await written(KEY)
    flipOnDisk(join(path, (await temporaries())[0]!), at)
    expect(await codeOf(writer.finish(sha256))).toBe('STORE_BAD_ECHO')
    await writer.abort()
    expect(await store.head(KEY, never)).toBeNull()
  }
  expect(await (await written(KEY)).finish(sha256)).toEqual({ key: KEY, size: data.length, sha256 })
  const forgetful = await written(`${KEY}.x`)
  expect(await codeOf(forgetful.finish())).not.toBe('resolved')
  await forgetful.abort()
})

function flipOnDisk(file: string, at: number): void {
  const fd = openSync(file, 'r+')
  const byte = Buffer.alloc(1)
  readSync(fd, byte, 0, 1, at)
  byte[0]! ^= 4
  writeSync(fd, byte, 0, 1, at)
  closeSync(fd)
}

test('what dead writers left is swept, what living ones write is not', async () => {
  const first = new LocalStore('local', { path })
  const living = await first.create(KEY, {}, never)
  await living.write(bytes(10))
  const mine = (await temporaries()).join()
  const where = mine.split('-')[1]
  const dead = `.tmp-${where}-4194304-1-0123456789abcdef`
  const reused = `.tmp-${where}-${process.pid}-1-0123456789abcdef`
  const elsewhere = '.tmp-000000000000-1-1-0123456789abcdef'
  const elsewhereOld = '.tmp-000000000000-1-1-1123456789abcdef'
  const notOurs = '.tmp-notes'
  for (const name of [dead, reused, elsewhere, elsewhereOld, notOurs]) await writeFile(join(path, name), 'x')
  const old = Date.now() / 1000 - 2 * 86_400
  await utimes(join(path, elsewhereOld), old, old)
  await put(new LocalStore('local', { path }), `${KEY}.2`, bytes(1))
  expect((await temporaries()).toSorted()).toEqual([mine, elsewhere, notOurs].toSorted())
  await living.finish()
  expect(await readAll(first, KEY)).toHaveLength(10)
})

test('max_size holds: for objects there, for those being written, and it frees with a deletion', async () => {
  const store = new LocalStore('local', { path, max_size: '1MB' })
  await put(store, 'a', bytes(600_000))
  expect(await codeOf(put(store, 'b', bytes(500_000)))).toBe('STORE_FULL')
  expect(await codeOf(put(store, 'b', bytes(500_000), false))).toBe('STORE_FULL')
  await put(store, 'c', bytes(300_000))
  expect(await store.space(never)).toEqual({ used_bytes: 900_000, free_bytes: 100_000 })
  expect(await codeOf(put(new LocalStore('local', { path, max_size: '1MB' }), 'b', bytes(500_000)))).toBe('STORE_FULL')
  await store.delete('a', never)
  await put(store, 'b', bytes(500_000))
  const parallel = ['d', 'e'].map((key) => codeOf(put(store, key, bytes(150_000), false)))
  expect((await Promise.all(parallel)).toSorted()).toEqual(['STORE_FULL', 'resolved'])
  expect(await temporaries()).toEqual([])
})

test('the same bytes again are no new bytes for max_size', async () => {
  const store = new LocalStore('local', { path, max_size: '1MB' })
  for (let again = 0; again < 5; again++) await put(store, 'a', bytes(400_000))
  expect(await put(store, 'b', bytes(500_000))).toMatchObject({ size: 500_000 })
})

test('the configuration refuses what it does not know', () => {
  expect(LocalStoreConfig.safeParse({ path: './backups', max_size: '100GB' }).success).toBe(true)
  expect(LocalStoreConfig.safeParse({ path: './backups', warn_at: '80%' }).error?.message).toContain(
    'not available yet',
  )
  for (const wrong of [{}, { path: '' }, { path: 'x', max_size: 'much' }, { path: 'x', colour: 'red' }]) {
    expect(LocalStoreConfig.safeParse(wrong).success).toBe(false)
  }
  expect([bytesOf('100GB'), bytesOf('1.5 MB'), bytesOf('2KiB'), bytesOf('7B')]).toEqual([100e9, 1.5e6, 2048, 7])
  expect(adapter.kind).toBe('local')
})
