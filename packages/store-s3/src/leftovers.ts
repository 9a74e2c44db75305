import { AbortMultipartUploadCommand, HeadObjectCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import type { Unfinished } from '@salvor/shared/ports/store'
import { isObjectKey } from '@salvor/shared/vocabulary/object-key'
import { Answer } from './answer.ts'
import { decoded } from './list.ts'
import type { Session } from './session.ts'

/** Where the reading of the Date header belongs in a command's middleware. */
const LAST = { step: 'deserialize', name: 'salvorDate', priority: 'low' } as const

interface Dated {
  readonly response: unknown
}

/** Keeps the time at which the store answered, by its own clock. */
class StoreClock {
  #now: number | null = null

  readonly middleware =
    <A, R extends Dated>(next: (args: A) => Promise<R>) =>
    async (args: A): Promise<R> => {
      const result = await next(args)
      const { headers } = result.response as { readonly headers?: Readonly<Record<string, string>> }
      const date = Date.parse(headers?.['date'] ?? '')
      if (!Number.isNaN(date)) this.#now = date
      return result
    }

  since(then: Date | undefined): number {
    if (this.#now === null || then === undefined) throw new Answer('broken', 'its answer has no date', null)
    return Math.max(0, this.#now - then.getTime())
  }
}

/** Null: not there. */
export async function ageOf(session: Session, key: string, signal: AbortSignal): Promise<number | null> {
  const clock = new StoreClock()
  try {
    const found = await session.send('read', signal, (client, options) => {
      const head = new HeadObjectCommand({ Bucket: session.bucket, Key: session.full(key) })
      head.middlewareStack.add(clock.middleware, LAST)
      return client.send(head, options)
    })
    return clock.since(found.LastModified)
  } catch (error) {
    if (error instanceof Answer && error.outcome === 'absent') return null
    throw error
  }
}

/** Page after page; uploads of names that Salvor would not write are passed over. */
export async function* listUnfinished(session: Session, signal: AbortSignal): AsyncGenerator<Unfinished> {
  throwIfInterrupted(signal)
  const above = session.full('')
  for (let from: { KeyMarker?: string; UploadIdMarker?: string } = {}; ;) {
    const clock = new StoreClock()
    const page = await session.send('delete', signal, (client, options) => {
      const list = new ListMultipartUploadsCommand({
        Bucket: session.bucket,
        Prefix: above,
        EncodingType: 'url',
        MaxUploads: session.patience.pageSize,
        ...from,
      })
      list.middlewareStack.add(clock.middleware, LAST)
      return client.send(list, options)
    })
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      const key = decoded(Key ?? '').slice(above.length)
      if (isObjectKey(key) && UploadId) yield { key, id: UploadId, age_ms: clock.since(Initiated) }
    }
    if (page.IsTruncated !== true) return
    if (!page.NextKeyMarker) throw new Answer('broken', 'its list ends without an end', null)
    from = {
      KeyMarker: decoded(page.NextKeyMarker),
      ...(page.NextUploadIdMarker ? { UploadIdMarker: page.NextUploadIdMarker } : {}),
    }
  }
}

export async function dropUnfinished(session: Session, key: string, id: string, signal: AbortSignal): Promise<void> {
  const drop = new AbortMultipartUploadCommand({ Bucket: session.bucket, Key: session.full(key), UploadId: id })
  try {
    await session.send('delete', signal, (client, options) => client.send(drop, options))
  } catch (error) {
    if (!(error instanceof Answer) || (error.outcome !== 'no-upload' && error.outcome !== 'absent')) throw error
  }
}
