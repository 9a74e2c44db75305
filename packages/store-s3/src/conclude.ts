import { CompleteMultipartUploadCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { Answer } from './answer.ts'
import { compare, confirm, type Intent } from './confirm.ts'
import type { Session } from './session.ts'
import { BEFORE_SIGNING, knownHash } from './signed-body.ts'
import { echoReason, type Upload } from './upload.ts'

/** One conditional request for the whole object; what the writer was not told is settled by what the reader sees. */
export async function putWhole(session: Session, intent: Intent, Body: Buffer, signal: AbortSignal): Promise<void> {
  const { config } = session
  const put = async (): Promise<string | undefined> => {
    const reply = await session.send(
      'write',
      signal,
      (client, options) => {
        const command = new PutObjectCommand({
          Bucket: session.bucket,
          Key: session.full(intent.key),
          Body,
          ChecksumAlgorithm: 'SHA256',
          ChecksumSHA256: intent.checksum,
          IfNoneMatch: '*',
          StorageClass: config.storage_class as 'STANDARD' | undefined,
          ServerSideEncryption: config.sse,
        })
        command.middlewareStack.add(knownHash(intent.checksum), BEFORE_SIGNING)
        return client.send(command, options)
      },
      Body.length,
    )
    return reply.ChecksumSHA256
  }
  await concluded(session, intent, signal, put)
}

/**
 * Completes an upload, conditionally. Without one (`upload` null) an object was there from the beginning and is compared.
 * `gone`: the parts are no more.
 */
export async function completeUpload(
  session: Session,
  intent: Intent,
  upload: Upload | null,
  signal: AbortSignal,
  gone: () => void,
): Promise<void> {
  if (upload === null)
    return settle(session, intent, signal, new Answer('broken', 'the object vanished meanwhile', null))
  const parts = await upload.all()
  const Parts = parts.map((part, n) => ({ PartNumber: n + 1, ETag: part.etag, ChecksumSHA256: part.sha256 }))
  const complete = async (): Promise<string | undefined> => {
    const reply = await session.send('write', signal, (client, options) =>
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket: session.bucket,
          Key: session.full(intent.key),
          UploadId: upload.id,
          IfNoneMatch: '*',
          MultipartUpload: { Parts },
        }),
        options,
      ),
    )
    return reply.ETag ? reply.ChecksumSHA256 : undefined
  }
  try {
    await concluded(session, intent, signal, complete)
  } catch (error) {
    if (error instanceof Answer && ['no-upload', 'absent', 'denied'].includes(error.outcome)) gone()
    throw error
  }
}

/** Sends the request that makes the object, and believes it only with the store's echo and the reader's eyes. */
async function concluded(
  session: Session,
  intent: Intent,
  signal: AbortSignal,
  request: () => Promise<string | undefined>,
): Promise<void> {
  let echo: string | undefined
  try {
    echo = await request()
  } catch (error) {
    if (!(error instanceof Answer)) throw error
    return settle(session, intent, signal, error)
  }
  if (echo !== intent.checksum) throw new Answer('damaged', echoReason(echo), null)
  await confirm(session, intent, signal)
}

/** The writer was refused, or was not told: what is there decides. Where nothing is there, `answer` stands. */
async function settle(session: Session, intent: Intent, signal: AbortSignal, answer: Answer): Promise<void> {
  const verdict = await compare(session, intent, signal).catch((error: unknown) => {
    if (error instanceof Answer) throw answer
    throw error
  })
  if (verdict === 'absent') throw answer
  if (verdict === 'other') throw new SalvorError('STORE_CONFLICT', { store: session.store, key: intent.key }, answer)
}
