import { orSkip } from '@salvor/testkit/real/not-here'
import { s3Client, startS3 } from '@salvor/testkit/real/s3'
import { storeContract } from '@salvor/testkit/contracts/store'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, describe } from 'vitest'
import { S3Store } from './index.ts'

const { value: s3, skipReason } = await orSkip(startS3())
afterAll(() => s3?.stop())

describe.skipIf(s3 === null)(`a real gateway ${skipReason}`, () => {
  storeContract('s3', async () => {
    const server = s3!
    const bucket = await server.createBucket()
    const { endpoint, region, access_key_id, secret_access_key } = server
    const config = { bucket, prefix: 'prod', region, endpoint, path_style: true, access_key_id, secret_access_key }
    const patience = { pageSize: process.env['SALVOR_TEST_COUNTS'] === 'full' ? 1_000 : 40 }
    const stores = [new S3Store('s3', config, patience), new S3Store('s3', config)] as const
    return {
      store: stores[0],
      keepsUploads: true,
      second: stores[1],
      corrupt: async (key) => {
        const client = s3Client(server)
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: `prod/${key}`, Body: Buffer.alloc(5000, 1) }))
        client.destroy()
      },
      [Symbol.asyncDispose]: async () => {
        await Promise.all(stores.map((store) => store.close()))
      },
    }
  })
})
