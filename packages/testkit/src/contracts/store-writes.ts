// oxlint-disable vitest/no-conditional-expect, vitest/expect-expect -- a capability decides what a store promises; helpers assert
import { describe, expect, test } from 'vitest'
import { bytes, codeOf, feed, listAll, MiB, never, put, readAll, sha256 } from './store-bytes.ts'
import type { OpenStore } from './store.ts'

const KEY = 'clinic/backup_full_20251127_203930.db.zst'
const RACERS = 12

/** Around the edges of parts and buffers: of 1, 4, 8 and 16 MiB. */
const SIZES = [0, 1, 65_536, MiB - 1, MiB, 4 * MiB + 1, 8 * MiB, 16 * MiB - 1, 16 * MiB, 16 * MiB + 1, 32 * MiB]

export function writeContract(open: OpenStore): void {
  describe('writing once', () => {
    sizesAndMemory(open)
    writeOnce(open)
    races(open)
  })
  describe('attempts that end early', () => {
    leftNothing(open)
    resuming(open)
  })
}

function sizesAndMemory(open: OpenStore): void {
  test.each(SIZES)('%i bytes come back as they were given, and are found at once', async (size) => {
    await using place = await open()
    const data = bytes(size)
    for (const sized of [true, false]) {
      const key = `clinic/${sized ? 'sized' : 'unsized'}`
      expect(await put(place.store, key, data, sized)).toEqual({ key, size, sha256: sha256(data) })
      const head = await place.store.head(key, never)
      expect(head).toMatchObject({ key, size })
      expect([null, sha256(data)]).toContain(head!.sha256)
      expect((await readAll(place.store, key)).equals(data)).toBe(true)
    }
  })

  test('a large object passes through in bounded memory', async () => {
    await using place = await open()
    const chunk = bytes(MiB)
    const writer = await place.store.create(KEY, { size: null }, never)
    const before = process.memoryUsage().arrayBuffers
    let highest = 0
    for (let at = 0; at < 160; at++) {
      await writer.write(chunk)
      highest = Math.max(highest, process.memoryUsage().arrayBuffers - before)
    }
    const stored = await writer.finish()
    expect(stored.size).toBe(160 * MiB)
    expect(highest / MiB).toBeLessThan(place.inMemory === true ? 400 : 112)
  })
}

function writeOnce(open: OpenStore): void {
  test.each([1000, 20 * MiB])('the same %i bytes again are a success and change nothing', async (size) => {
    await using place = await open()
    const first = await put(place.store, KEY, bytes(size))
    expect(await put(place.second ?? place.store, KEY, bytes(size))).toEqual(first)
    expect(await listAll(place.store)).toHaveLength(1)
  })

  test.each([
    ['longer', 1000, 1001],
    ['shorter', 1000, 999],
    ['empty', 1000, 0],
    ['of the same length', 1000, 1000],
    ['large and of the same length', 20 * MiB, 20 * MiB],
    ['large over small', 1000, 20 * MiB],
    ['small over large', 20 * MiB, 1000],
  ])('other bytes under the key are refused, nothing is overwritten: %s', async (_how, old, size) => {
    await using place = await open()
    const data = bytes(old, 1)
    await put(place.store, KEY, data)
    expect(await codeOf(put(place.second ?? place.store, KEY, bytes(size, 2)))).toBe('STORE_CONFLICT')
    expect((await readAll(place.store, KEY)).equals(data)).toBe(true)
    expect(await listAll(place.store)).toHaveLength(1)
  })

  test('an object that was damaged in the store is not taken for the same bytes', async ({ skip }) => {
    await using place = await open()
    skip(place.corrupt === undefined, 'this store cannot be damaged from outside')
    await put(place.store, KEY, bytes(5000))
    await place.corrupt!(KEY)
    expect(await codeOf(put(place.store, KEY, bytes(5000)))).toBe('STORE_CONFLICT')
  })
}

function races(open: OpenStore): void {
  test('of twelve writers that race for a key one wins, the others are refused', async () => {
    await using place = await open()
    const stores = [place.store, place.second ?? place.store]
    const all = Array.from({ length: RACERS }, (_, n) => bytes(200_000, n + 1))
    const outcomes = await Promise.all(all.map((data, n) => codeOf(put(stores[n % 2]!, KEY, data))))
    expect(outcomes.toSorted()).toEqual([...Array.from({ length: RACERS - 1 }, () => 'STORE_CONFLICT'), 'resolved'])
    const winner = all[outcomes.indexOf('resolved')]!
    expect((await readAll(place.store, KEY)).equals(winner)).toBe(true)
  })

  test('twelve writers that race with the same bytes all succeed', async () => {
    await using place = await open()
    const data = bytes(300_000)
    const stores = [place.store, place.second ?? place.store]
    const all = await Promise.all(Array.from({ length: RACERS }, (_, n) => put(stores[n % 2]!, KEY, data)))
    expect(new Set(all.map((stored) => stored.sha256))).toEqual(new Set([sha256(data)]))
    expect((await readAll(place.store, KEY)).equals(data)).toBe(true)
  })

  test('two large writers that race: one wins', async () => {
    await using place = await open()
    const all = [bytes(20 * MiB, 1), bytes(20 * MiB, 2)]
    const outcomes = await Promise.all(all.map((data) => codeOf(put(place.store, KEY, data))))
    expect(outcomes.toSorted()).toEqual(['STORE_CONFLICT', 'resolved'])
    expect((await readAll(place.store, KEY)).equals(all[outcomes.indexOf('resolved')]!)).toBe(true)
  })
}

function leftNothing(open: OpenStore): void {
  const nothing = async (place: Awaited<ReturnType<OpenStore>>): Promise<void> => {
    for (const store of [place.store, place.second ?? place.store]) {
      expect(await store.head(KEY, never)).toBeNull()
      expect(await listAll(store)).toEqual([])
      expect(await codeOf(readAll(store, KEY))).toBe('STORE_NOT_FOUND')
    }
  }

  test.each([0, 1000, 40 * MiB])('an aborted write of %i bytes leaves nothing to read', async (size) => {
    await using place = await open()
    const writer = await place.store.create(KEY, {}, never)
    await feed(writer, bytes(size))
    await writer.abort()
    await writer.abort()
    await nothing(place)
    await put(place.store, KEY, bytes(10))
  })

  test.each([1000, 40 * MiB])('a write of %i bytes that is never finished shows nothing', async (size) => {
    await using place = await open()
    const writer = await place.store.create(KEY, {}, never)
    await feed(writer, bytes(size))
    await nothing(place)
    await writer.abort({ keepParts: true })
    await nothing(place)
  })

  test.each([1000, 40 * MiB])('a signal ends a write of %i bytes, and nothing is left to read', async (size) => {
    await using place = await open()
    const stop = new AbortController()
    const writer = await place.store.create(KEY, {}, stop.signal)
    await feed(writer, bytes(size))
    stop.abort()
    expect(await codeOf(writer.finish())).toBe('INTERRUPTED')
    await writer.abort()
    await nothing(place)
  })

  test('a signal that is already pulled starts nothing', async () => {
    await using place = await open()
    expect(await codeOf(place.store.create(KEY, {}, AbortSignal.abort()))).toBe('INTERRUPTED')
    await nothing(place)
  })

  test('an abort after the end takes nothing away', async () => {
    await using place = await open()
    const writer = await place.store.create(KEY, {}, never)
    await writer.write(bytes(10))
    await writer.finish()
    await writer.abort()
    expect(await readAll(place.store, KEY)).toHaveLength(10)
  })
}

function resuming(open: OpenStore): void {
  const data = bytes(56 * MiB, 3)
  /** Writes 40 MiB and breaks off; gives the token to go on with. */
  const breakOff = async (place: Awaited<ReturnType<OpenStore>>): Promise<string | null> => {
    const writer = await place.store.create(KEY, { size: data.length }, never)
    expect(writer.resumeToken).toBeNull()
    await feed(writer, data.subarray(0, 40 * MiB))
    await writer.abort({ keepParts: true })
    return writer.resumeToken
  }

  test('an attempt that broke off is resumed: only what is missing is sent', async ({ skip }) => {
    await using place = await open()
    const token = await breakOff(place)
    skip(token === null, 'this store does not resume')
    const before = place.sentBytes?.() ?? 0
    const writer = await (place.second ?? place.store).create(KEY, { size: data.length, resume: token }, never)
    await feed(writer, data)
    expect(await writer.finish()).toEqual({ key: KEY, size: data.length, sha256: sha256(data) })
    if (place.sentBytes) expect(place.sentBytes() - before).toBeLessThan(32 * MiB)
    expect((await readAll(place.store, KEY)).equals(data)).toBe(true)
  })

  test('a resumed attempt with other bytes stores exactly those or nothing, never a mixture', async () => {
    await using place = await open()
    const token = await breakOff(place)
    const other = Buffer.from(data)
    other[5 * MiB] = other[5 * MiB]! ^ 1
    const writer = await place.store.create(KEY, { size: other.length, resume: token }, never)
    const outcome = await codeOf(feed(writer, other).then(() => writer.finish()))
    if (outcome === 'resolved') expect((await readAll(place.store, KEY)).equals(other)).toBe(true)
    else {
      await writer.abort()
      expect(await place.store.head(KEY, never)).toBeNull()
    }
  })

  test.each(['', 'no token', '{}', '{"v":1,"parts":[]}', '[]'])(
    'a token that says nothing starts from the beginning: %j',
    async (resume) => {
      await using place = await open()
      const writer = await place.store.create(KEY, { resume }, never)
      await feed(writer, bytes(17 * MiB))
      expect((await writer.finish()).sha256).toBe(sha256(bytes(17 * MiB)))
    },
  )

  test('a token outlived by its parts starts from the beginning, or fails and then does', async () => {
    await using place = await open()
    const first = await place.store.create(KEY, { size: data.length }, never)
    await feed(first, data.subarray(0, 40 * MiB))
    const token = first.resumeToken
    await first.abort()
    for (let attempt = 1, resume = token; ; attempt++) {
      const writer = await place.store.create(KEY, { size: data.length, resume }, never)
      const outcome = await codeOf(feed(writer, data).then(() => writer.finish()))
      if (outcome === 'resolved') break
      expect(attempt).toBeLessThan(3)
      resume = writer.resumeToken
      await writer.abort()
    }
    expect((await readAll(place.store, KEY)).equals(data)).toBe(true)
  })
}
