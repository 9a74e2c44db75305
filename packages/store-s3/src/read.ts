import type { Readable } from 'node:stream'
import { GetObjectCommand } from '@aws-sdk/client-s3'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { StoredObject } from '@salvor/shared/ports/store'
import { Answer, answerOf } from './answer.ts'
import { headOf, isComposite } from './head.ts'
import type { Session } from './session.ts'

export async function headObject(session: Session, key: string, signal: AbortSignal): Promise<StoredObject | null> {
  const head = await headOf(session, key, signal)
  if (head === null) return null
  if (head.ContentLength === undefined) throw new Answer('broken', 'it told no size', null)
  const checksum = head.ChecksumSHA256
  const sha256 =
    checksum === undefined || isComposite(checksum) ? null : Buffer.from(checksum, 'base64').toString('hex')
  return { key, size: head.ContentLength, sha256 }
}

/**
 * Streams a range, and goes on from the last byte when the connection breaks: as long as bytes come, and a few times
 * without any. All of it is of one version of the object.
 */
export async function* readObject(
  session: Session,
  key: string,
  range: { readonly offset: number; readonly length: number } | null,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (range?.length === 0) {
    await assertWithin(session, key, range.offset, signal)
    return
  }
  let at = range?.offset ?? 0
  let opened = await open(session, key, at, range && at + range.length, null, signal)
  const { end } = opened
  for (let failures = 0; at < end;) {
    const before = at
    let problem: unknown = null
    try {
      for await (const chunk of opened.body) {
        if (at + chunk.length > end) throw new Answer('broken', 'it sent more than was asked for', null)
        at += chunk.length
        yield chunk
        throwIfInterrupted(signal)
      }
      if (at < end) problem = new Answer('broken', `its answer ended ${end - at} bytes early`, null)
    } catch (error) {
      problem = error
    } finally {
      opened.stop()
    }
    if (problem === null) return
    throwIfInterrupted(signal)
    const answer = answerOf(problem)
    failures = at > before ? 1 : failures + 1
    if (!answer.passing || failures >= session.patience.attempts) throw answer
    await session.pause(failures - 1, signal)
    if (at < end) opened = await open(session, key, at, end, opened.etag, signal)
  }
}

interface Opened {
  readonly body: AsyncIterable<Uint8Array>
  readonly end: number
  readonly etag: string | null
  stop(): void
}

/** `to` null: up to the end of the object. `etag`: only of this version. */
async function open(
  session: Session,
  key: string,
  from: number,
  to: number | null,
  etag: string | null,
  signal: AbortSignal,
): Promise<Opened> {
  const reply = await session
    .send('read', signal, (client, options) =>
      client.send(
        new GetObjectCommand({
          Bucket: session.bucket,
          Key: session.full(key),
          Range: to === null ? undefined : `bytes=${from}-${to - 1}`,
          IfMatch: etag ?? undefined,
        }),
        options,
      ),
    )
    .catch(async (error: unknown) => {
      if (error instanceof Answer && error.outcome === 'taken')
        throw new Answer('broken', 'it was replaced while it was read', error)
      if (error instanceof Answer && error.outcome === 'range') await assertWithin(session, key, to ?? from, signal)
      throw error
    })
  const body = reply.Body as Readable
  const stop = (): void => void body.destroy()
  const total = to === null ? reply.ContentLength : Number(/^bytes \d+-\d+\/(\d+)$/.exec(reply.ContentRange ?? '')?.[1])
  const begins = to === null || reply.ContentRange?.startsWith(`bytes ${from}-`)
  if (total === undefined || Number.isNaN(total) || !begins) {
    stop()
    throw new Answer('broken', 'it did not answer with the range that was asked for', null)
  }
  if (to !== null && to > total) {
    stop()
    throw truncated(session, key, to, total)
  }
  return { body: watched(body, session.patience.idleMs), end: to ?? total, etag: reply.ETag ?? null, stop }
}

/** Ends a body that falls silent while somebody waits for it; a slow reader is not its fault. */
async function* watched(body: Readable, idleMs: number): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  let awaited = true
  const timer = setTimeout(() => {
    if (awaited) body.destroy(new Answer('timeout', 'no byte came in time', null))
    else timer.refresh()
  }, idleMs)
  try {
    for (;;) {
      const next = await chunks.next()
      if (next.done === true) return
      awaited = false
      yield next.value
      awaited = true
      timer.refresh()
    }
  } finally {
    clearTimeout(timer)
  }
}

async function assertWithin(session: Session, key: string, wanted: number, signal: AbortSignal): Promise<void> {
  const head = await headObject(session, key, signal)
  if (head === null) throw new Answer('absent', 'not there', null)
  if (wanted > head.size) throw truncated(session, key, wanted, head.size)
}

function truncated(session: Session, key: string, wanted: number, found: number): SalvorError {
  return new SalvorError('STORE_TRUNCATED', { store: session.store, key, wanted: String(wanted), found: String(found) })
}
