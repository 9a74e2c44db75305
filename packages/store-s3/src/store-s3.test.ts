import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { Answer, answerOf, storeError } from './answer.ts'
import { Buffers } from './buffers.ts'
import { loginOf, S3StoreConfig } from './config.ts'
import { base64Sha256, compositeSha256, geometryFor, partSize } from './parts.ts'
import { readToken, writeToken } from './token.ts'

const MiB = 1024 * 1024
const GiB = 1024 * MiB
const CONFIG = { bucket: 'clinic-backups', region: 'us-east-1', access_key_id: 'id', secret_access_key: 'key' }

test.each([0, 1, 16 * MiB, 40 * MiB, 140 * GiB, 200 * GiB, 1024 * GiB, 5 * 1024 * GiB])(
  'an object of %i bytes fits into 9,000 parts of at least 16 MiB',
  (size) => {
    const geometry = geometryFor(size)
    expect(partSize(geometry, 0)).toBeGreaterThanOrEqual(16 * MiB)
    expect(partSize(geometry, 0) % MiB).toBe(0)
    expect(Math.ceil(size / partSize(geometry, 0))).toBeLessThanOrEqual(9_000)
    expect(partSize(geometry, 8_999)).toBe(partSize(geometry, 0))
  },
)

test('an object of unknown size begins with 16 MiB parts and can grow to the largest that S3 takes', () => {
  const geometry = geometryFor(null)
  const sizes = Array.from({ length: 10_000 }, (_, n) => partSize(geometry, n))
  expect(sizes.slice(0, 1_000).every((size) => size === 16 * MiB)).toBe(true)
  let total = 0
  const parts = sizes.findIndex((size) => (total += size) >= 5 * 1024 * GiB)
  expect(parts).toBeGreaterThan(0)
  expect(Math.max(...sizes.slice(0, parts + 1))).toBeLessThanOrEqual(5 * GiB)
})

test('the checksum of an object in parts is the hash of the hashes', () => {
  const parts = [Buffer.from('one'), Buffer.from('two')]
  const hash = createHash('sha256')
  for (const part of parts) hash.update(createHash('sha256').update(part).digest())
  expect(compositeSha256(parts.map((part) => ({ sha256: base64Sha256(part) })))).toBe(`${hash.digest('base64')}-2`)
})

test('a token is read back for its own object only', () => {
  const place = { bucket: 'b', key: 'prod/x' }
  const upload = { upload_id: 'u', geometry: { part_size: 16 * MiB }, parts: [{ sha256: 's', etag: '"e"' }] }
  const token = writeToken(place, upload)
  expect(readToken(place, token)).toEqual(upload)
  expect(readToken({ bucket: 'b', key: 'prod/y' }, token)).toBeNull()
  expect(readToken({ bucket: 'c', key: 'prod/x' }, token)).toBeNull()
  for (const wrong of ['', '{', 'null', token.replace('"v":1', '"v":2'), token.replace('"u"', '""')]) {
    expect(readToken(place, wrong)).toBeNull()
  }
})

test('part buffers never take more than 48 MiB, a larger part goes alone', async () => {
  const buffers = new Buffers()
  const first = await buffers.take(16 * MiB)
  const others = await Promise.all([2, 3].map(() => buffers.take(16 * MiB)))
  let next: Buffer | null = null
  const waiting = buffers.take(16 * MiB).then((buffer) => (next = buffer))
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(next).toBeNull()
  buffers.giveBack(first)
  expect(await waiting).toBe(first)
  for (const buffer of [first, ...others]) buffers.giveBack(buffer)
  const large = await buffers.take(117 * MiB)
  let second = false
  const behind = buffers.take(117 * MiB).then(() => (second = true))
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(second).toBe(false)
  buffers.giveBack(large)
  expect(await behind).toBe(true)
})

test.each([
  [{ name: 'Unknown', $metadata: { httpStatusCode: 403 } }, 'STORE_DENIED'],
  [{ name: 'SignatureDoesNotMatch', $metadata: { httpStatusCode: 403 } }, 'STORE_DENIED'],
  [{ name: 'NoSuchBucket', $metadata: { httpStatusCode: 404 } }, 'STORE_DENIED'],
  [{ name: 'PermanentRedirect', $metadata: { httpStatusCode: 301 } }, 'STORE_DENIED'],
  [{ name: 'InvalidObjectState', $metadata: { httpStatusCode: 403 } }, 'STORE_DENIED'],
  [{ name: 'NotFound', $metadata: { httpStatusCode: 404 } }, 'STORE_NOT_FOUND'],
  [{ name: 'PreconditionFailed', $metadata: { httpStatusCode: 412 } }, 'STORE_CONFLICT'],
  [{ name: 'ConditionalRequestConflict', $metadata: { httpStatusCode: 409 } }, 'STORE_UNREACHABLE'],
  [{ name: 'SlowDown', $metadata: { httpStatusCode: 503 } }, 'STORE_THROTTLED'],
  [{ name: 'Unknown', $metadata: { httpStatusCode: 503 } }, 'STORE_THROTTLED'],
  [{ name: 'InternalError', $metadata: { httpStatusCode: 500 } }, 'STORE_UNREACHABLE'],
  [{ name: 'BadDigest', $metadata: { httpStatusCode: 400 } }, 'STORE_BAD_ECHO'],
  [{ name: 'QuotaExceeded', $metadata: { httpStatusCode: 403 } }, 'STORE_FULL'],
  [{ name: 'TimeoutError' }, 'STORE_UNREACHABLE'],
  [{ name: 'Error', code: 'ECONNREFUSED' }, 'STORE_UNREACHABLE'],
  [{ name: 'Error', code: 'SELF_SIGNED_CERT_IN_CHAIN' }, 'STORE_UNREACHABLE'],
])('%j is told as %s', (thrown, code) => {
  expect(storeError('s3', 'write', 'k', answerOf(thrown)).code).toBe(code)
})

test('only what passes by itself is tried again', () => {
  const passing = (thrown: object): boolean => answerOf(thrown).passing
  expect(passing({ name: 'ConditionalRequestConflict', $metadata: { httpStatusCode: 409 } })).toBe(true)
  expect(passing({ name: 'RequestTimeTooSkewed', $metadata: { httpStatusCode: 403 } })).toBe(true)
  expect(passing({ name: 'BadDigest', $metadata: { httpStatusCode: 400 } })).toBe(true)
  expect(passing({ name: 'AccessDenied', $metadata: { httpStatusCode: 403 } })).toBe(false)
  expect(passing({ name: 'Error', code: 'CERT_HAS_EXPIRED' })).toBe(false)
})

test('a mistake in the program is not taken for an answer of the store', () => {
  const mistake = new TypeError('x is not a function')
  expect(() => answerOf(mistake)).toThrow(mistake)
  const answer = new Answer('denied', 'no', null)
  expect(answerOf(answer)).toBe(answer)
})

test('one login serves all until others are given', () => {
  const main = { accessKeyId: 'id', secretAccessKey: 'key' }
  const one = S3StoreConfig.parse(CONFIG)
  expect([loginOf(one, 'write'), loginOf(one, 'read'), loginOf(one, 'delete')]).toEqual([main, main, main])
  const two = S3StoreConfig.parse({ ...CONFIG, read_access_key_id: 'r', read_secret_access_key: 's' })
  expect(loginOf(two, 'read')).toEqual({ accessKeyId: 'r', secretAccessKey: 's' })
  expect(loginOf(two, 'delete')).toEqual(main)
})

test.each([
  [{ bucket: undefined }, 'bucket'],
  [{ bucket: '../x' }, 'bucket'],
  [{ prefix: '/prod/' }, 'prefix'],
  [{ prefix: 'a/../b' }, 'prefix'],
  [{ endpoint: 'ftp://x' }, 'endpoint'],
  [{ storage_class: 'cold please' }, 'storage_class'],
  [{ read_access_key_id: 'r' }, 'read_access_key_id'],
  [{ object_lock: 'compliance' }, 'not available yet'],
  [{ lock: '14d' }, 'not available yet'],
  [{ colour: 'red' }, 'colour'],
])('the configuration refuses %j', (change, told) => {
  expect(S3StoreConfig.safeParse({ ...CONFIG, ...change }).error?.message).toContain(told)
})

test('the configuration takes what the manual shows', () => {
  const shown = { prefix: 'backups/prod', endpoint: '', path_style: false, storage_class: 'STANDARD_IA', sse: 'AES256' }
  expect(S3StoreConfig.parse({ ...CONFIG, ...shown })).toMatchObject(shown)
})
