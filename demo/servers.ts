import { NotPossibleHere } from '@salvor/testkit/real/not-here'
import { startAzurite } from '@salvor/testkit/real/azurite'
import { startReceiver, type MessageReceiver } from '@salvor/testkit/real/message-receiver'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { startRedis } from '@salvor/testkit/real/redis'
import { startS3 } from '@salvor/testkit/real/s3'

/** The world around Salvor: everything real, on this machine, on free loopback ports, gone at the end. */
export interface Servers {
  readonly postgres: RealPostgres
  readonly redisUrl: string
  readonly receiver: MessageReceiver
  readonly s3: S3Place | null
  readonly azure: AzurePlace | null
  /** What this machine cannot run, and why. */
  readonly missing: readonly string[]
}

export interface S3Place {
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  readonly access_key_id: string
  readonly secret_access_key: string
}
export interface AzurePlace {
  readonly connection_string: string
  readonly container: string
}

export async function startServers(stack: AsyncDisposableStack, say: (line: string) => void): Promise<Servers> {
  const missing: string[] = []
  const timed = async <T>(name: string, start: Promise<T>): Promise<T> => {
    const began = performance.now()
    const value = await start
    say(`${name.padEnd(22)} up in ${((performance.now() - began) / 1000).toFixed(1)} s`)
    return value
  }
  const optional = async <T>(name: string, start: Promise<T>): Promise<T | null> => {
    try {
      return await timed(name, start)
    } catch (error) {
      if (!(error instanceof NotPossibleHere)) throw error
      missing.push(`${name}: ${error.skipReason}`)
      say(`${name.padEnd(22)} not possible here: ${error.skipReason}`)
      return null
    }
  }
  const given = process.env['REDIS_URL']
  const [postgres, redis, receiver, s3, azurite] = await Promise.all([
    timed(
      'PostgreSQL 15',
      startPostgres({ major: 15, initdb: ['--data-checksums'], settings: { max_slot_wal_keep_size: '1GB' } }),
    ),
    given === undefined || given === '' ? timed('Redis', startRedis()) : { url: given },
    startReceiver(),
    optional('S3 (Ceph gateway)', startS3()),
    optional('Azure Blob (Azurite)', startAzurite()),
  ])
  for (const server of [postgres, receiver, redis, s3, azurite]) {
    if (server && Symbol.asyncDispose in server) stack.use(server)
  }
  return {
    postgres,
    redisUrl: redis.url,
    receiver,
    missing,
    s3: s3 && { ...s3, bucket: await s3.createBucket() },
    azure: azurite && {
      connection_string: azurite.connection_string,
      container: await azurite.createContainer('clinic'),
    },
  }
}
