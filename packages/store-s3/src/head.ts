import { HeadObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import { Answer } from './answer.ts'
import type { Session } from './session.ts'

/** By the reading identity, checksum included; null: not there. */
export async function headOf(
  session: Session,
  key: string,
  signal: AbortSignal,
): Promise<HeadObjectCommandOutput | null> {
  try {
    return await session.send('read', signal, (client, options) =>
      client.send(
        new HeadObjectCommand({ Bucket: session.bucket, Key: session.full(key), ChecksumMode: 'ENABLED' }),
        options,
      ),
    )
  } catch (error) {
    if (error instanceof Answer && error.outcome === 'absent') return null
    throw error
  }
}

/** The checksum of a multipart object is one of its parts' checksums: never the object's own. */
export function isComposite(checksum: string): boolean {
  return checksum.includes('-')
}
