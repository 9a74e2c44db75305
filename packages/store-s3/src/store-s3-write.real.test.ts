import { bytes, codeOf, feed, listAll, MiB, never, put, readAll } from '@salvor/testkit/contracts/store-bytes'
import type { RequestSeen } from '@salvor/testkit/real/fault-proxy'
import { orSkip } from '@salvor/testkit/real/not-here'
import { startS3 } from '@salvor/testkit/real/s3'
import { s3Place, type S3Place } from '@salvor/testkit/real/s3-place'
import { afterAll, describe, expect, test } from 'vitest'
import { S3StoreConfig } from './config.ts'
import { S3Store } from './index.ts'
import type { Patience } from './session.ts'

const { value: s3, skipReason } = await orSkip(startS3())
afterAll(() => s3?.stop())

const KEY = 'clinic/backup_full_20251127_203930.db.zst'
const HASTY: Partial<Patience> = { attempts: 4, baseMs: 5, capMs: 20, connectMs: 1_000, idleMs: 1_500 }
const BIG = 36 * MiB
const forever = 1_000

interface Place extends S3Place {
  readonly store: S3Store
  open(change?: Partial<S3StoreConfig>): S3Store
}

async function place(options: { readonly objectLock?: boolean } = {}): Promise<Place> {
  const at = await s3Place(s3!, options)
  const config = S3StoreConfig.parse(at.config)
  const stores: S3Store[] = []
  const open = (change: Partial<S3StoreConfig> = {}): S3Store => {
    const store = new S3Store('s3', { ...config, ...change }, HASTY)
    stores.push(store)
    return store
  }
  const dispose = async (): Promise<void> => {
    await Promise.all(stores.map((store) => store.close()))
    await at[Symbol.asyncDispose]()
  }
  return { ...at, store: open(), open, [Symbol.asyncDispose]: dispose }
}

const isPut = (request: RequestSeen): boolean => request.method === 'PUT' && !request.path.includes('partNumber')
const isPart = (request: RequestSeen): boolean => request.path.includes('partNumber')
const isComplete = (request: RequestSeen): boolean => request.method === 'POST' && request.path.includes('uploadId')
const isHead = (request: RequestSeen): boolean => request.method === 'HEAD'

/** What is under the key once the line is healthy: the bytes, in so many versions. */
async function stored(at: Place, data: Uint8Array): Promise<string> {
  at.proxy.heal()
  const found = await readAll(at.store, KEY)
  return `${found.equals(data) ? 'the bytes' : 'other bytes'}, ${await at.versions()} time`
}
const ONCE = 'the bytes, 1 time'

describe.skipIf(s3 === null)(`S3 that misbehaves ${skipReason}`, () => {
  test.each([1000, BIG])('a store that asks to slow down is asked again (%i bytes)', async (size) => {
    await using at = await place()
    at.proxy.next({ kind: 'answer', status: 503 }, { times: 2 })
    at.proxy.next({ kind: 'answer', status: 500 }, { when: isComplete })
    await put(at.store, KEY, bytes(size))
    expect(await stored(at, bytes(size))).toBe(ONCE)
  })

  test('a store that keeps asking to slow down is told as that, and nothing is there', async () => {
    await using at = await place()
    at.proxy.next({ kind: 'answer', status: 503 }, { times: forever })
    expect(await codeOf(put(at.store, KEY, bytes(1000)))).toBe('STORE_THROTTLED')
    expect(await codeOf(put(at.store, KEY, bytes(BIG)))).toBe('STORE_THROTTLED')
    expect(await codeOf(at.store.head(KEY, never))).toBe('STORE_THROTTLED')
    at.proxy.heal()
    expect(await listAll(at.store)).toEqual([])
  })

  test.each([
    ['a small object', 1000, isPut, 1],
    ['a small object, again and again', 1000, isPut, forever],
    ['a part', BIG, isPart, 2],
    ['the end of an upload', BIG, isComplete, 1],
    ['the end of an upload, again and again', BIG, isComplete, forever],
  ])('an answer lost after the success is settled by what the reader sees: %s', async (_what, size, when, times) => {
    await using at = await place()
    at.proxy.next({ kind: 'withhold' }, { when, times })
    expect(await put(at.store, KEY, bytes(size))).toMatchObject({ size })
    expect(await stored(at, bytes(size))).toBe(ONCE)
  })

  test('a lost answer and another writer in between: the other bytes win and this one is refused', async () => {
    await using at = await place()
    at.proxy.next({ kind: 'swallow' }, { when: isPut })
    const slow = codeOf(put(at.store, KEY, bytes(1000, 1)))
    await put(at.open({ endpoint: s3!.endpoint }), KEY, bytes(1000, 2))
    expect(await slow).toBe('STORE_CONFLICT')
    expect(await stored(at, bytes(1000, 2))).toBe(ONCE)
  })

  const unsummed = { kind: 'drop-header', name: 'x-amz-checksum-sha256' } as const
  const bare = '<CompleteMultipartUploadResult><ETag>"x-1"</ETag></CompleteMultipartUploadResult>'
  test.each([
    ['of a small object', 1000, isPut, unsummed],
    ['of the end of an upload', BIG, isComplete, { kind: 'replace', body: bare } as const],
    ['that the reader should see', 1000, isHead, unsummed],
  ])('without the echo of the checksum nothing is called stored: %s', async (_what, size, when, fault) => {
    await using at = await place()
    at.proxy.next(fault, { when })
    expect(await codeOf(put(at.store, KEY, bytes(size)))).toBe('STORE_BAD_ECHO')
    await put(at.store, KEY, bytes(size))
    expect(await stored(at, bytes(size))).toBe(ONCE)
  })

  test('a part without its echo is sent again, and fails when none ever comes', async () => {
    await using at = await place()
    at.proxy.next({ kind: 'drop-header', name: 'x-amz-checksum-sha256' }, { when: isPart, times: 2 })
    await put(at.store, KEY, bytes(BIG))
    expect(await stored(at, bytes(BIG))).toBe(ONCE)
    at.proxy.next({ kind: 'drop-header', name: 'x-amz-checksum-sha256' }, { when: isPart, times: forever })
    expect(await codeOf(put(at.store, `${KEY}.2`, bytes(BIG)))).toBe('STORE_BAD_ECHO')
  })

  test.each([
    ['a small object', 100_000, isPut],
    ['a part', BIG, isPart],
  ])('a byte that flips on the way is refused by the store and sent again: %s', async (_what, size, when) => {
    await using at = await place()
    at.proxy.next({ kind: 'flip', body: 'request', at: 70_000 }, { when, times: 2 })
    await put(at.store, KEY, bytes(size))
    expect(await stored(at, bytes(size))).toBe(ONCE)
  })

  test.each([
    ['a small object', 1_000_000, isPut],
    ['a part', BIG, isPart],
  ])('a connection that breaks in the middle of a body is made again: %s', async (_what, size, when) => {
    await using at = await place()
    at.proxy.next({ kind: 'cut', body: 'request', after: 400_000 }, { when, times: 2 })
    await put(at.store, KEY, bytes(size))
    expect(await stored(at, bytes(size))).toBe(ONCE)
  })

  test('a success that holds an error in its body is no success', async () => {
    await using at = await place()
    const body = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>.</Message></Error>'
    at.proxy.next({ kind: 'answer', status: 200, body }, { when: isComplete, times: 2 })
    await put(at.store, KEY, bytes(BIG))
    expect(await stored(at, bytes(BIG))).toBe(ONCE)
    at.proxy.next({ kind: 'answer', status: 200, body }, { when: isComplete, times: forever })
    expect(await codeOf(put(at.store, `${KEY}.2`, bytes(BIG)))).toMatch(/^STORE_(UNREACHABLE|THROTTLED)$/)
    at.proxy.heal()
    expect(await at.store.head(`${KEY}.2`, never)).toBeNull()
  })

  test('an upload that broke for good is gone on with by its token, sending only what is missing', async () => {
    await using at = await place()
    const data = bytes(3 * 16 * MiB, 5)
    const first = await at.store.create(KEY, { size: data.length }, never)
    at.proxy.next(
      { kind: 'cut', body: 'request', after: 100 },
      { when: (request) => request.path.includes('partNumber=3'), times: forever },
    )
    expect(await codeOf(feed(first, data).then(() => first.finish()))).toBe('STORE_UNREACHABLE')
    await first.abort({ keepParts: true })
    at.proxy.heal()
    const before = at.proxy.seen.up
    const second = await at.open().create(KEY, { size: data.length, resume: first.resumeToken }, never)
    await feed(second, data)
    await second.finish()
    expect(at.proxy.seen.up - before).toBeLessThan(17 * MiB)
    expect(await stored(at, data)).toBe(ONCE)
  })
})
