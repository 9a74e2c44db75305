import { readFileSync } from 'node:fs'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, describe, expect, test } from 'vitest'
import { orSkip } from './not-here.ts'
import { s3Client, startS3, type S3User } from './s3.ts'

const { value: s3, skipReason } = await orSkip(startS3())
afterAll(() => s3?.stop())

const mounts = (): string => readFileSync('/proc/self/mounts', 'utf8')

describe.skipIf(s3 === null)(`a real S3 gateway ${skipReason}`, () => {
  test('a second one runs beside the first and leaves neither a listener nor a mount', async ({ skip }) => {
    skip(s3!.how === 'env', 'TEST_S3_URL names one server only')
    const second = await startS3({ region: 'eu-west-1' })
    expect(second.region).toBe('eu-west-1')
    expect(second.endpoint).not.toBe(s3!.endpoint)
    await second.createBucket()
    await second.stop()
    await expect(fetch(second.endpoint)).rejects.toThrow(/fetch failed/)
    expect(mounts()).toContain(s3!.name)
    expect(mounts()).not.toContain(second.name)
    expect((await fetch(s3!.endpoint)).status).toBe(200)
  })

  test('of two users one only writes and the other only reads', async ({ skip }) => {
    skip(s3!.writer === null, 'TEST_S3_URL names one login only')
    const Bucket = await s3!.createBucket({ users: true })
    const statusAs = async (login: S3User | null): Promise<number> => {
      const client = s3Client(s3!, login!)
      const put = client.send(new PutObjectCommand({ Bucket, Key: 'x', Body: 'x' }))
      const status = await put.then(
        () => 200,
        (error: { $metadata: { httpStatusCode: number } }) => error.$metadata.httpStatusCode,
      )
      client.destroy()
      return status
    }
    expect([await statusAs(s3!.writer), await statusAs(s3!.reader)]).toEqual([200, 403])
  })
})
