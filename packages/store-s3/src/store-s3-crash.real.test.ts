import { bytes, MiB, never, put, readAll } from '@salvor/testkit/contracts/store-bytes'
import { orSkip } from '@salvor/testkit/real/not-here'
import { startS3 } from '@salvor/testkit/real/s3'
import { afterAll, describe, expect, test } from 'vitest'
import { S3Store } from './index.ts'

const given = (process.env['TEST_S3_URL'] ?? '') !== ''
const { value: s3, skipReason } = given
  ? { value: null, skipReason: 'the server of TEST_S3_URL is not ours to crash' }
  : await orSkip(startS3({ store: 'bluestore' }))
afterAll(() => s3?.stop())

const CRASHES = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 12 : 2
const KILLED = Array.from({ length: CRASHES }, (_, n) => (['all', 'rgw', 'osd'] as const)[n % 3] ?? 'all')

describe.skipIf(s3 === null)(`a gateway that is killed under writers ${skipReason}`, () => {
  test(
    'has every object that was acknowledged, whole, and no other bytes',
    { timeout: 90_000 + CRASHES * 30_000 },
    async () => {
      const bucket = await s3!.createBucket()
      const { endpoint, region, access_key_id, secret_access_key } = s3!
      await using stack = new AsyncDisposableStack()
      const store = new S3Store('s3', { bucket, region, endpoint, path_style: true, access_key_id, secret_access_key })
      stack.defer(() => store.close())
      const acknowledged = new Map<string, Buffer>()
      const stop = new AbortController()
      const write = async (writer: number): Promise<void> => {
        for (let n = 0; !stop.signal.aborted; n++) {
          const key = `clinic/wal/${writer}/${String(n).padStart(6, '0')}`
          const data = bytes(n % 10 === 9 ? 17 * MiB : 4_000 + n, writer * 1_000_000 + n)
          // A run that failed is run again: under the same key when nothing says that it was stored.
          for (let done = false; !done && !stop.signal.aborted;) {
            done = await put(store, key, data).then(
              () => true,
              () => false,
            )
            if (done) acknowledged.set(key, data)
          }
        }
      }
      const writers = [1, 2].map(write)
      for (const tier of KILLED) {
        const before = acknowledged.size
        while (acknowledged.size < before + 15) await new Promise((resolve) => setTimeout(resolve, 50))
        await s3!.crash(tier)
      }
      const before = acknowledged.size
      while (acknowledged.size < before + 15) await new Promise((resolve) => setTimeout(resolve, 50))
      stop.abort()
      await Promise.all(writers)
      for (const [key, data] of acknowledged) {
        expect({ key, same: (await readAll(store, key)).equals(data) }).toEqual({ key, same: true })
      }
      let listed = 0
      for await (const _ of store.list('', never)) listed++
      expect(listed).toBeGreaterThanOrEqual(acknowledged.size)
      process.stderr.write(`${CRASHES} crashes, ${acknowledged.size} objects acknowledged, none lost\n`)
    },
  )
})
