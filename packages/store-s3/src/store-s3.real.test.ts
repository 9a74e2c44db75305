import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3'
import { bytes, codeOf, feed, listAll, MiB, never, put, readAll } from '@salvor/testkit/contracts/store-bytes'
import { startFaultProxy, type FaultProxy, type RequestSeen } from '@salvor/testkit/real/fault-proxy'
import { orSkip } from '@salvor/testkit/real/not-here'
import { s3Client, startS3, type S3Login } from '@salvor/testkit/real/s3'
import { afterAll, describe, expect, test } from 'vitest'
import { S3StoreConfig } from './config.ts'
import { S3Store } from './index.ts'
import type { Patience } from './session.ts'

const { value: s3, skipReason } = await orSkip(startS3())
afterAll(() => s3?.stop())

const KEY = 'clinic/backup_full_20251127_203930.db.zst'
const HASTY: Partial<Patience> = { attempts: 4, baseMs: 5, capMs: 20, connectMs: 1_000, idleMs: 1_500 }
const BIG = 36 * MiB

interface Place extends AsyncDisposable {
  readonly store: S3Store
  readonly proxy: FaultProxy
  readonly bucket: string
  open(change?: Partial<S3StoreConfig>): S3Store
}

/** A bucket behind the proxy; one user only writes, another only reads. */
async function place(options: { objectLock?: boolean } = {}): Promise<Place> {
  const bucket = await s3!.createBucket({ users: s3!.writer !== null, ...options })
  const proxy = await startFaultProxy(s3!.endpoint, { speaks: 'http' })
  const login = (user: S3Login | null, prefix: string): object =>
    user === null
      ? {}
      : { [`${prefix}access_key_id`]: user.access_key_id, [`${prefix}secret_access_key`]: user.secret_access_key }
  const config = S3StoreConfig.parse({
    bucket,
    prefix: 'prod/a',
    region: s3!.region,
    endpoint: proxy.url,
    path_style: true,
    ...login(s3!.writer ?? s3, ''),
    ...login(s3!.reader, 'read_'),
    ...login(s3, 'delete_'),
  })
  const stores: S3Store[] = []
  const open = (change: Partial<S3StoreConfig> = {}): S3Store => {
    const store = new S3Store('s3', { ...config, ...change }, HASTY)
    stores.push(store)
    return store
  }
  const dispose = async (): Promise<void> => {
    await Promise.all(stores.map((store) => store.close()))
    await proxy.stop()
  }
  return { store: open(), proxy, bucket, open, [Symbol.asyncDispose]: dispose }
}

const isPut = (request: RequestSeen): boolean => request.method === 'PUT' && !request.path.includes('partNumber')
const isPart = (request: RequestSeen): boolean => request.path.includes('partNumber')
const isComplete = (request: RequestSeen): boolean => request.method === 'POST' && request.path.includes('uploadId')
const isGet = (request: RequestSeen): boolean => request.method === 'GET'
const isHead = (request: RequestSeen): boolean => request.method === 'HEAD'
const forever = 1_000

async function versions(bucket: string): Promise<number> {
  const client = s3Client(s3!)
  const { Versions } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }))
  client.destroy()
  return Versions?.length ?? 0
}

/** What is under the key once the line is healthy: the bytes, in so many versions. */
async function stored(at: Place, data: Uint8Array): Promise<string> {
  at.proxy.heal()
  const found = await readAll(at.store, KEY)
  return `${found.equals(data) ? 'the bytes' : 'other bytes'}, ${await versions(at.bucket)} time`
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

describe.skipIf(s3 === null)(`reading from S3 that misbehaves ${skipReason}`, () => {
  test('a download that breaks goes on from its last byte', async () => {
    await using at = await place()
    const data = bytes(20 * MiB)
    await put(at.store, KEY, data)
    const before = at.proxy.seen.down
    at.proxy.next({ kind: 'cut', body: 'response', after: 3 * MiB }, { when: isGet, times: 6 })
    expect((await readAll(at.store, KEY)).equals(data)).toBe(true)
    expect((at.proxy.seen.down - before) / MiB).toBeLessThan(25)
    at.proxy.next({ kind: 'cut', body: 'response', after: MiB }, { when: isGet, times: 2 })
    expect(
      (await readAll(at.store, KEY, { offset: 1234, length: 4 * MiB })).equals(data.subarray(1234, 1234 + 4 * MiB)),
    ).toBe(true)
  })

  test('an answer that is shorter than it should be is never taken for the end', async () => {
    await using at = await place()
    const data = bytes(MiB)
    await put(at.store, KEY, data)
    at.proxy.next({ kind: 'shorten', to: 1000 }, { when: isGet, times: 3 })
    expect((await readAll(at.store, KEY, { offset: 0, length: MiB })).equals(data)).toBe(true)
    at.proxy.next({ kind: 'shorten', to: 0 }, { when: isGet, times: forever })
    expect(await codeOf(readAll(at.store, KEY, { offset: 0, length: MiB }))).toBe('STORE_UNREACHABLE')
  })

  test('a download that never gets a byte fails after a few tries', async () => {
    await using at = await place()
    await put(at.store, KEY, bytes(MiB))
    at.proxy.next({ kind: 'cut', body: 'response', after: 0 }, { when: isGet, times: forever })
    expect(await codeOf(readAll(at.store, KEY))).toBe('STORE_UNREACHABLE')
  })
})

describe.skipIf(s3 === null)(`lines that break ${skipReason}`, () => {
  test('a line that falls silent ends every call with an error by itself', async () => {
    await using at = await place()
    await put(at.store, KEY, bytes(1000))
    at.proxy.line({ halfOpen: true })
    const calls = [
      at.store.head(KEY, never),
      readAll(at.store, KEY),
      listAll(at.store),
      put(at.store, `${KEY}.2`, bytes(1000)),
      at.store.delete(KEY, never),
    ]
    expect(await Promise.all(calls.map(codeOf))).toEqual(calls.map(() => 'STORE_UNREACHABLE'))
  })

  test('a call on a silent line ends at once when its signal is pulled', async () => {
    await using at = await place()
    at.proxy.line({ halfOpen: true })
    const began = performance.now()
    expect(await codeOf(at.store.head(KEY, AbortSignal.timeout(100)))).toBe('INTERRUPTED')
    expect(performance.now() - began).toBeLessThan(1_000)
  })

  test('a store that is down is told as unreachable, and used again when it is back', async () => {
    await using at = await place()
    await at.proxy.down()
    expect(await codeOf(put(at.store, KEY, bytes(1000)))).toBe('STORE_UNREACHABLE')
    await at.proxy.up()
    await put(at.store, KEY, bytes(1000))
    expect(await stored(at, bytes(1000))).toBe(ONCE)
  })

  test('wrong names and wrong secrets are told apart, and no secret is in the error', async () => {
    await using at = await place()
    const secret = 'a-very-secret-word'
    const wrong = at.open({ secret_access_key: secret, read_secret_access_key: secret })
    for (const work of [() => put(wrong, KEY, bytes(1)), () => readAll(wrong, KEY), () => listAll(wrong)]) {
      const error = await work().then(
        () => null,
        (thrown: unknown) => thrown as Error & { code: string },
      )
      expect(error?.code).toBe('STORE_DENIED')
      expect(error?.message).not.toContain(secret)
    }
    expect(await codeOf(listAll(at.open({ bucket: 'no-such-bucket-here' })))).toBe('STORE_DENIED')
    expect(await codeOf(put(at.open({ bucket: 'no-such-bucket-here' }), KEY, bytes(1)))).toBe('STORE_DENIED')
    expect(await codeOf(listAll(at.open({ endpoint: 'http://no-such-host.invalid' })))).toBe('STORE_UNREACHABLE')
    expect(await codeOf(put(at.open({ storage_class: 'BOGUS' }), KEY, bytes(1)))).toBe('STORE_DENIED')
  })
})

describe.skipIf(s3 === null)(`S3 as it is set up ${skipReason}`, () => {
  test('the writing identity cannot read and the reading one cannot write', async ({ skip }) => {
    skip(s3!.writer === null, 'TEST_S3_URL names one login only')
    await using at = await place()
    await put(at.store, KEY, bytes(10))
    const writer = { access_key_id: s3!.writer!.access_key_id, secret_access_key: s3!.writer!.secret_access_key }
    const onlyWriter = at.open({
      ...writer,
      read_access_key_id: writer.access_key_id,
      read_secret_access_key: writer.secret_access_key,
    })
    expect(await codeOf(readAll(onlyWriter, KEY))).toBe('STORE_DENIED')
    expect(await codeOf(onlyWriter.head(KEY, never))).toBe('STORE_DENIED')
    const reader = { access_key_id: s3!.reader!.access_key_id, secret_access_key: s3!.reader!.secret_access_key }
    expect(await codeOf(put(at.open(reader), `${KEY}.2`, bytes(10)))).toBe('STORE_DENIED')
  })

  test('storage class, server-side encryption and prefix are as configured', async () => {
    await using at = await place()
    const store = at.open({ storage_class: 'STANDARD_IA', sse: 'AES256' })
    const client = s3Client(s3!)
    for (const [key, size] of [
      ['a/small', 10],
      ['a/large', 17 * MiB],
    ] as const) {
      await put(store, key, bytes(size))
      const head = await client.send(new HeadObjectCommand({ Bucket: at.bucket, Key: `prod/a/${key}` }))
      expect(head).toMatchObject({ StorageClass: 'STANDARD_IA', ServerSideEncryption: 'AES256' })
    }
    const { Body } = await client.send(new GetObjectCommand({ Bucket: at.bucket, Key: 'prod/a/a/small' }))
    expect(Buffer.from(await Body!.transformToByteArray()).equals(bytes(10))).toBe(true)
    client.destroy()
  })

  test('until when an object is locked is read from the store', async () => {
    await using at = await place({ objectLock: true })
    await put(at.store, KEY, bytes(10))
    expect(await at.store.lockedUntil(KEY, never)).toBeNull()
    const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3_600_000)
    const client = s3Client(s3!)
    await client.send(
      new PutObjectRetentionCommand({
        Bucket: at.bucket,
        Key: `prod/a/${KEY}`,
        Retention: { Mode: 'GOVERNANCE', RetainUntilDate: until },
      }),
    )
    client.destroy()
    expect(await at.store.lockedUntil(KEY, never)).toBe(until.toISOString().replace('.000Z', '.000000Z'))
  })
})
