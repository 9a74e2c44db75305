// oxlint-disable vitest/no-conditional-expect -- a capability decides what a store promises
import { openSync, closeSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Store } from '@salvor/shared/ports/store'
import { bytes, codeOf, listAll, MiB, never, put, readAll } from './store-bytes.ts'
import type { OpenStore } from './store.ts'

const KEY = 'clinic/backup_full_20251127_203930.db.zst'
/** Stores list in pages; the scaled-down run sets a page size below this. */
const MANY = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 1_100 : 110

export function accessContract(open: OpenStore): void {
  describe('reading', () => {
    ranges(open)
    missing(open)
  })
  describe('listing', () => {
    listing(open)
  })
  describe('removing and replacing', () => {
    removing(open)
    replacing(open)
  })
  describe('guards', () => {
    hostileKeys(open)
    facts(open)
  })
}

function ranges(open: OpenStore): void {
  test('any range of an object can be read', async () => {
    await using place = await open()
    const data = bytes(3 * MiB + 17)
    await put(place.store, KEY, data)
    for (const [offset, length] of [
      [0, data.length],
      [0, 1],
      [0, 0],
      [data.length, 0],
      [data.length - 1, 1],
      [1, data.length - 1],
      [MiB - 1, 2],
      [70_000, 2 * MiB],
    ] as const) {
      const part = await readAll(place.store, KEY, { offset, length })
      expect({ offset, length, same: part.equals(data.subarray(offset, offset + length)) }).toEqual({
        offset,
        length,
        same: true,
      })
    }
  })

  test('a range that the object does not have is an error, never a short answer', async () => {
    await using place = await open()
    await put(place.store, KEY, bytes(1000))
    for (const [offset, length] of [
      [0, 1001],
      [999, 2],
      [1000, 1],
      [5000, 10],
      [1001, 0],
    ] as const) {
      const code = await codeOf(readAll(place.store, KEY, { offset, length }))
      expect({ offset, length, code }).toEqual({ offset, length, code: 'STORE_TRUNCATED' })
    }
  })

  test('a reader that stops early, or is stopped by its signal, leaves the store usable', async () => {
    await using place = await open()
    const data = bytes(9 * MiB)
    await put(place.store, KEY, data)
    for await (const chunk of place.store.read(KEY, null, never)) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
    const stop = new AbortController()
    const stopped = (async () => {
      for await (const _ of place.store.read(KEY, null, stop.signal)) stop.abort()
    })()
    expect(await codeOf(stopped)).toBe('INTERRUPTED')
    expect((await readAll(place.store, KEY)).equals(data)).toBe(true)
  })
}

function missing(open: OpenStore): void {
  test('an object that is not there is told by each call in its way', async () => {
    await using place = await open()
    await put(place.store, 'clinic/other', bytes(1))
    for (const key of [KEY, 'nobody/x', 'clinic', 'clinic/other/x']) {
      const answers = [
        await place.store.head(key, never),
        await codeOf(readAll(place.store, key)),
        await codeOf(readAll(place.store, key, { offset: 0, length: 0 })),
      ]
      expect({ key, answers }).toEqual({ key, answers: [null, 'STORE_NOT_FOUND', 'STORE_NOT_FOUND'] })
      await place.store.delete(key, never)
    }
    expect(await listAll(place.store, 'nobody/')).toEqual([])
    expect(await readAll(place.store, 'clinic/other')).toHaveLength(1)
  })
}

function listing(open: OpenStore): void {
  test('keys come ascending as text, with their sizes, and only those of the prefix', async () => {
    await using place = await open()
    const keys = [
      'a',
      'b-c/x',
      'b.c',
      'b/wal/1',
      'b/wal/2',
      'b/wal-x',
      'b/waz',
      'b0',
      'B/x',
      'b_',
      'c%2Fd/x',
      'manifest.json',
    ]
    for (const [n, key] of keys.toReversed().entries()) await put(place.store, key, bytes(n + 1, n))
    const sorted = keys.toSorted()
    const all = await listAll(place.second ?? place.store)
    expect(all.map((object) => object.key)).toEqual(sorted)
    expect(all.every((object) => object.size === keys.length - keys.indexOf(object.key))).toBe(true)
    for (const prefix of ['b/', 'b/wal', 'b/wal/', 'b', 'b.', 'B/', 'c%2Fd/', 'z', 'manifest.json', 'a/']) {
      const found = await listAll(place.store, prefix)
      expect({ prefix, keys: found.map((object) => object.key) }).toEqual({
        prefix,
        keys: sorted.filter((key) => key.startsWith(prefix)),
      })
    }
  })

  test(`${MANY} objects are listed, not the first page only`, { timeout: 180_000 }, async () => {
    await using place = await open()
    const keys = Array.from({ length: MANY }, (_, n) => `clinic/wal/${String(n).padStart(6, '0')}.zst`)
    const queue = keys.toReversed()
    const worker = async (): Promise<void> => {
      for (let key = queue.pop(); key !== undefined; key = queue.pop()) await put(place.store, key, Buffer.from(key))
    }
    await Promise.all(Array.from({ length: 16 }, worker))
    expect((await listAll(place.store, 'clinic/')).map((object) => object.key)).toEqual(keys)
    let seen = 0
    for await (const _ of place.store.list('', never)) if (++seen === 3) break
    expect(seen).toBe(3)
  })
}

function removing(open: OpenStore): void {
  test('a deleted object is gone for everybody; deleting again is no error; its key is free', async () => {
    await using place = await open()
    await put(place.store, KEY, bytes(100, 1))
    await put(place.store, `${KEY}.enc`, bytes(5))
    await place.store.delete(KEY, never)
    await place.store.delete(KEY, never)
    expect(await (place.second ?? place.store).head(KEY, never)).toBeNull()
    expect((await listAll(place.store)).map((object) => object.key)).toEqual([`${KEY}.enc`])
    await put(place.store, KEY, bytes(50, 2))
    expect((await readAll(place.store, KEY)).equals(bytes(50, 2))).toBe(true)
  })
}

function replacing(open: OpenStore): void {
  test('an object is replaced whole where the store can, and refused where it cannot', async () => {
    await using place = await open()
    const key = 'manifest.json'
    if (!place.store.capabilities.replace) {
      expect(await codeOf(place.store.replace(key, bytes(10), never))).toBe('STORE_DENIED')
      return expect(await place.store.head(key, never)).toBeNull()
    }
    await place.store.replace(key, bytes(1000, 0), never)
    const versions = Array.from({ length: 20 }, (_, n) => bytes(1000 + n, n))
    const done = new AbortController()
    const reader = (async () => {
      while (!done.signal.aborted) {
        const found = await readAll(place.second ?? place.store, key)
        expect(versions.some((version) => version.equals(found))).toBe(true)
      }
    })()
    for (const version of versions) await place.store.replace(key, version, never)
    done.abort()
    await reader
    expect((await readAll(place.store, key)).equals(versions.at(-1)!)).toBe(true)
    expect((await listAll(place.store)).map((object) => object.key)).toEqual([key])
  })
}

function hostileKeys(open: OpenStore): void {
  test.each([
    '../x',
    'a/../../x',
    '/etc/passwd',
    'a//b',
    'a/',
    '',
    '.',
    'a/.tmp-1',
    'a\0b',
    'a\\..\\b',
    'ä',
    'x'.repeat(2000),
  ])('the key %j is refused by every call', async (key) => {
    await using place = await open()
    const { store } = place
    const calls: ((store: Store) => Promise<unknown>)[] = [
      (store) => store.create(key, {}, never),
      (store) => store.head(key, never),
      (store) => readAll(store, key),
      (store) => store.delete(key, never),
      (store) => store.lockedUntil(key, never),
      async (store) => store.localPath(key),
    ]
    if (store.capabilities.replace) calls.push((store) => store.replace(key, bytes(1), never))
    const codes = await Promise.all(calls.map((call) => codeOf(call(store))))
    expect(codes).toEqual(calls.map(() => 'STORE_KEY_INVALID'))
  })

  test.each(['../', '/', 'a/../', 'a//', '.', 'a\0'])('the prefix %j is refused', async (prefix) => {
    await using place = await open()
    expect(await codeOf(listAll(place.store, prefix))).toBe('STORE_KEY_INVALID')
  })
}

function facts(open: OpenStore): void {
  test('what the store says about itself holds', async () => {
    await using place = await open()
    const { store } = place
    await put(store, KEY, bytes(100_000))
    const space = await store.space(never)
    for (const number of [space.used_bytes, space.free_bytes]) {
      if (number !== null) expect(number).toBeGreaterThanOrEqual(0)
    }
    if (space.used_bytes !== null) expect(space.used_bytes).toBeGreaterThanOrEqual(100_000)
    if (!store.capabilities.objectLock) expect(await store.lockedUntil(KEY, never)).toBeNull()
    const path = store.localPath(KEY)
    if (store.capabilities.remote) expect(path).toBeNull()
    if (path !== null) {
      closeSync(openSync(path, 'r'))
      expect(readFileSync(path).equals(bytes(100_000))).toBe(true)
    }
  })

  test('a call whose signal is pulled does not go on', async () => {
    await using place = await open()
    await put(place.store, KEY, bytes(10))
    const pulled = AbortSignal.abort()
    const { store } = place
    expect(await codeOf(store.head(KEY, pulled))).toBe('INTERRUPTED')
    expect(await codeOf(store.delete(KEY, pulled))).toBe('INTERRUPTED')
    const reading = (async () => {
      for await (const _ of store.read(KEY, null, pulled)) return
    })()
    expect(await codeOf(reading)).toBe('INTERRUPTED')
    expect(await readAll(store, KEY)).toHaveLength(10)
  })
}
