import { ListObjectVersionsCommand } from '@aws-sdk/client-s3'
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts'
import { s3Client, type RealS3, type S3Login } from './s3.ts'

/** A bucket of its own behind a proxy that can be told to misbehave. */
export interface S3Place extends AsyncDisposable {
  readonly proxy: FaultProxy
  readonly bucket: string
  /** As a store's configuration has it: one login writes, one reads, the main one deletes (where the server knows several). */
  readonly config: Readonly<Record<string, string | boolean>>
  /** How many versions of objects the bucket holds. */
  versions(): Promise<number>
}

export async function s3Place(s3: RealS3, options: { readonly objectLock?: boolean } = {}): Promise<S3Place> {
  const bucket = await s3.createBucket({ users: s3.writer !== null, ...options })
  const proxy = await startFaultProxy(s3.endpoint, { speaks: 'http' })
  const { region } = s3
  const logins = { ...login(s3.writer ?? s3, ''), ...login(s3.reader ?? s3, 'read_'), ...login(s3, 'delete_') }
  return {
    proxy,
    bucket,
    config: { bucket, prefix: 'prod/a', region, endpoint: proxy.url, path_style: true, ...logins },
    async versions() {
      const client = s3Client(s3)
      const { Versions } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }))
      client.destroy()
      return Versions?.length ?? 0
    },
    [Symbol.asyncDispose]: () => proxy.stop(),
  }
}

function login(user: S3Login, prefix: string): Record<string, string> {
  return { [`${prefix}access_key_id`]: user.access_key_id, [`${prefix}secret_access_key`]: user.secret_access_key }
}
