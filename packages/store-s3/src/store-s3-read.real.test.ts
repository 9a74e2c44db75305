import { GetObjectCommand, HeadObjectCommand, PutObjectRetentionCommand } from '@aws-sdk/client-s3'
import { bytes, codeOf, listAll, MiB, never, put, readAll } from '@salvor/testkit/contracts/store-bytes'
import type { RequestSeen } from '@salvor/testkit/real/fault-proxy'
import { orSkip } from '@salvor/testkit/real/not-here'
import { s3Client, startS3 } from '@salvor/testkit/real/s3'
import { s3Place, type S3Place } from '@salvor/testkit/real/s3-place'
import { afterAll, describe, expect, test } from 'vitest'
import { S3StoreConfig } from './config.ts'
import { S3Store } from './index.ts'
import type { Patience } from './session.ts'

const { value: s3, skipReason } = await orSkip(startS3())
afterAll(() => s3?.stop())

const KEY = 'clinic/backup_full_20251127_203930.db.zst'
const HASTY: Partial<Patience> = { attempts: 4, baseMs: 5, capMs: 20, connectMs: 1_000, idleMs: 1_500 }
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

const isGet = (request: RequestSeen): boolean => request.method === 'GET'

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
    expect((await readAll(at.store, KEY)).equals(bytes(1000))).toBe(true)
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
    const deletesAs = (login: typeof writer) =>
      at.open({ delete_access_key_id: login.access_key_id, delete_secret_access_key: login.secret_access_key })
    for (const login of [writer, reader]) {
      expect(await codeOf(deletesAs(login).delete(KEY, never))).toBe('STORE_DENIED')
    }
    expect((await readAll(at.store, KEY)).equals(bytes(10))).toBe(true)
    await at.store.delete(KEY, never)
    expect(await at.store.head(KEY, never)).toBeNull()
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
