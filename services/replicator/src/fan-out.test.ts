import { randomBytes } from 'node:crypto'
import { createHash } from 'node:crypto'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { MemoryStore, type MemoryStoreOptions } from '@salvor/testkit/fakes/memory-store'
import { describe, expect, test } from 'vitest'
import { fanOut, type FanOutOptions } from './fan-out.ts'

const KEY = 'clinic/backup_full_20260101_000000.db.zst'
const BYTES = randomBytes(300_000)
const SHA = createHash('sha256').update(BYTES).digest('hex')
const never = new AbortController().signal
const plain: FanOutOptions = { size: BYTES.length, sha256: SHA, onBytes: () => {}, onToken: async () => {} }

function origin(options: MemoryStoreOptions = {}): MemoryStore {
  const store = new MemoryStore({ name: 'origin', chunkBytes: 10_000, ...options })
  store.plant(KEY, BYTES)
  return store
}
const to = (...stores: MemoryStore[]) => stores.map((store) => ({ store, resume: null }))

describe('one artifact for several stores', () => {
  test('is read once, and lies in each of them', async () => {
    let reads = 0
    const from = origin({ before: (operation) => void (operation === 'read' && reads++) })
    const [a, b] = [new MemoryStore({ name: 'a' }), new MemoryStore({ name: 'b' })]
    expect(await fanOut(from, KEY, to(a, b), plain, never)).toEqual([
      { store: 'a', error: null },
      { store: 'b', error: null },
    ])
    expect([a.bytes(KEY).equals(BYTES), b.bytes(KEY).equals(BYTES), reads]).toEqual([true, true, 1])
  })
  test('a store that fails half way is left behind; the other one gets its copy', async () => {
    let writes = 0
    const before: MemoryStoreOptions['before'] = (operation) => {
      if (operation === 'write' && ++writes > 5)
        throw new SalvorError('STORE_UNREACHABLE', { store: 'b', reason: 'cut' })
    }
    const [a, b] = [new MemoryStore({ name: 'a' }), new MemoryStore({ name: 'b', before })]
    const landings = await fanOut(origin(), KEY, to(a, b), plain, never)
    expect(landings.map((l) => l.error?.code ?? null)).toEqual([null, 'STORE_UNREACHABLE'])
    expect([a.keys(), b.keys()]).toEqual([[KEY], []])
  })
  test('bytes that are not those of the manifest land nowhere', async () => {
    const from = origin()
    from.flip(KEY, 123_456)
    const a = new MemoryStore({ name: 'a' })
    await expect(fanOut(from, KEY, to(a), plain, never)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' })
    expect(a.keys()).toEqual([])
  })
  test('a store that has the very bytes already counts as arrived', async () => {
    const a = new MemoryStore({ name: 'a' })
    a.plant(KEY, BYTES)
    expect(await fanOut(origin(), KEY, to(a), plain, never)).toEqual([{ store: 'a', error: null }])
  })
  test('a store that holds other bytes under the name reports a conflict and keeps them', async () => {
    const a = new MemoryStore({ name: 'a' })
    a.plant(KEY, Buffer.from('other'))
    const [landing] = await fanOut(origin(), KEY, to(a), plain, never)
    expect(landing?.error?.code).toBe('STORE_CONFLICT')
    expect(a.bytes(KEY).toString()).toBe('other')
  })
  test('an upload that broke off goes on from the token of the first attempt', async () => {
    let broken = true
    let sent = 0
    const before: MemoryStoreOptions['before'] = (operation) => {
      if (operation === 'write' && broken && ++sent > 20)
        throw new SalvorError('STORE_UNREACHABLE', { store: 'a', reason: 'cut' })
    }
    const a = new MemoryStore({ name: 'a', partBytes: 50_000, before })
    const tokens: string[] = []
    const onToken = async (_store: string, token: string): Promise<void> => void tokens.push(token)
    const [first] = await fanOut(origin(), KEY, to(a), { ...plain, onToken }, never)
    expect(first?.error?.retryable).toBe(true)
    expect(tokens.length).toBeGreaterThan(0)
    broken = false
    const [second] = await fanOut(origin(), KEY, [{ store: a, resume: tokens.at(-1) ?? null }], plain, never)
    expect([second?.error, a.bytes(KEY).equals(BYTES)]).toEqual([null, true])
  })
})
