import { createHash } from 'node:crypto'
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import { Answer } from './answer.ts'
import { headOf, isComposite } from './head.ts'
import { readObject } from './read.ts'
import type { Session } from './session.ts'

/** What the writer means to have stored. */
export interface Intent {
  readonly key: string
  readonly size: number
  /** SHA-256 of the whole object, hex. */
  readonly sha256: string
  /** As the store names it: of the whole in base64, or composite with its number of parts. */
  readonly checksum: string
}

/** After an echo: the reader must see the same. Fails with an Answer that says what it saw instead. */
export async function confirm(session: Session, intent: Intent, signal: AbortSignal): Promise<void> {
  let head = await headOf(session, intent.key, signal)
  for (let nth = 0; head === null && nth < 3; nth++) {
    await session.pause(nth, signal)
    head = await headOf(session, intent.key, signal)
  }
  const doubt = head === null ? 'the reader does not see it' : doubtAbout(head, intent, session.config.sse)
  if (doubt !== null) throw new Answer('damaged', doubt, null)
}

function doubtAbout(head: HeadObjectCommandOutput, intent: Intent, sse: string | undefined): string | null {
  if (head.ContentLength !== intent.size) return `the reader sees ${head.ContentLength} bytes, not ${intent.size}`
  if (head.ChecksumSHA256 === undefined) return 'the reader sees no checksum'
  if (head.ChecksumSHA256 !== intent.checksum) return 'the reader sees the checksum of other bytes'
  if (sse !== undefined && head.ServerSideEncryption !== sse) return `it is not encrypted with ${sse}`
  return null
}

/**
 * Whether what lies under the key are the intended bytes: after a refusal because the key is taken, or an outcome that
 * nobody knows. Where the store's checksum cannot tell (an object cut otherwise, or none) the bytes are read.
 */
export async function compare(
  session: Session,
  intent: Intent,
  signal: AbortSignal,
): Promise<'same' | 'other' | 'absent'> {
  const head = await headOf(session, intent.key, signal)
  if (head === null) return 'absent'
  if (head.ContentLength !== intent.size) return 'other'
  if (head.ChecksumSHA256 === intent.checksum) return 'same'
  if (head.ChecksumSHA256 !== undefined && !isComposite(head.ChecksumSHA256)) {
    return head.ChecksumSHA256 === Buffer.from(intent.sha256, 'hex').toString('base64') ? 'same' : 'other'
  }
  const hash = createHash('sha256')
  for await (const chunk of readObject(session, intent.key, null, signal)) hash.update(chunk)
  return hash.digest('hex') === intent.sha256 ? 'same' : 'other'
}
