import { describe, expect, test } from 'vitest'
import type { Store, Unfinished } from '@salvor/shared/ports/store'
import { bytes, codeOf, feed, listAll, MiB, never, put, readAll } from './store-bytes.ts'
import type { OpenStore } from './store.ts'

const KEY = 'clinic/backup_full_20251127_203930.db.zst'
/** Above what every store sends in one request. */
const DATA = bytes(40 * MiB)

async function unfinished(store: Store): Promise<Unfinished[]> {
  const found: Unfinished[] = []
  for await (const one of store.unfinished(never)) found.push(one)
  return found
}

/** An attempt that breaks off after 35 MiB and keeps what could be resumed. */
async function breakOff(store: Store, key = KEY): Promise<string | null> {
  const writer = await store.create(key, { size: DATA.length }, never)
  await feed(writer, DATA.subarray(0, 35 * MiB))
  await writer.abort({ keepParts: true })
  return writer.resumeToken
}

/** What attempts that broke off leave behind is found, and can be removed without harm to anything else. */
export function leftoversContract(open: OpenStore): void {
  describe('what attempts leave behind', () => {
    test('an object is as old as the store says, and one that is not there has no age', async () => {
      await using place = await open()
      await put(place.store, KEY, bytes(100))
      const age = await place.store.age(KEY, never)
      expect(age).toBeGreaterThanOrEqual(0)
      expect(age).toBeLessThan(60_000)
      expect(await place.store.age(`${KEY}.enc`, never)).toBeNull()
      expect(await codeOf(place.store.age('../x', never))).toBe('STORE_KEY_INVALID')
      expect(await codeOf(place.store.age(KEY, AbortSignal.abort()))).toBe('INTERRUPTED')
    })

    test('an upload that broke off is no object; what the store keeps of it is named, and goes when it is dropped', async () => {
      await using place = await open()
      const { store } = place
      await put(store, `${KEY}.enc`, DATA)
      await breakOff(store)
      const left = await unfinished(place.inMemory ? store : (place.second ?? store))
      expect(left).toHaveLength(place.keepsUploads ? 1 : 0)
      for (const one of left) {
        expect([one.key, KEY]).toContain(one.key ?? KEY)
        expect(one.age_ms).toBeLessThan(60_000)
      }
      expect(await listAll(store)).toHaveLength(1)
      for (const one of left) {
        await store.drop(one, never)
        await store.drop(one, never)
      }
      expect(await unfinished(store)).toEqual([])
      expect((await readAll(store, `${KEY}.enc`)).equals(DATA)).toBe(true)
    })

    test('an upload that was dropped can be made anew with its old token', async () => {
      await using place = await open()
      const { store } = place
      const token = await breakOff(store)
      for (const one of await unfinished(store)) await store.drop(one, never)
      const writer = await store.create(KEY, { resume: token, size: DATA.length }, never)
      await feed(writer, DATA)
      await writer.finish()
      expect((await readAll(store, KEY)).equals(DATA)).toBe(true)
    })

    test('a finished object is never among them', async () => {
      await using place = await open()
      await put(place.store, KEY, DATA)
      expect(await unfinished(place.store)).toEqual([])
      await place.store.drop({ key: KEY, id: KEY, age_ms: 1e9 }, never).catch(() => undefined)
      expect((await readAll(place.store, KEY)).equals(DATA)).toBe(true)
    })
  })
}
