import { GetObjectRetentionCommand } from '@aws-sdk/client-s3'
import { instantOf, type Instant } from '@salvor/shared/vocabulary/instant'
import { Answer } from './answer.ts'
import type { Session } from './session.ts'

/** How services say that an object, or its bucket, has no lock. */
const UNLOCKED = /^(NoSuchObjectLockConfiguration|ObjectLockConfigurationNotFoundError|InvalidRequest|NoSuchKey)\b/

/**
 * What the store says about the object, also where a rule of the bucket set it. Asked by the call that tells "no lock"
 * from "not allowed to see it": HEAD leaves the header out in both cases.
 */
export async function lockedUntil(session: Session, key: string, signal: AbortSignal): Promise<Instant | null> {
  try {
    const { Retention } = await session.send('read', signal, (client, options) =>
      client.send(new GetObjectRetentionCommand({ Bucket: session.bucket, Key: session.full(key) }), options),
    )
    const until = Retention?.RetainUntilDate
    return until === undefined ? null : instantOf(BigInt(until.getTime()) * 1000n)
  } catch (error) {
    if (error instanceof Answer && UNLOCKED.test(error.reason)) return null
    throw error
  }
}
