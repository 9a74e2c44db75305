import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { Body } from './body.ts'
import { isRefusal, ServiceError } from './errors.ts'
import type { AzurePlace } from './place.ts'
import { propertiesOf } from './properties.ts'

export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/**
 * Streams an object or a part of it. A body that is cut or hangs is asked for again from where it ended, of the same
 * version (ETag): never a mixture, never a short answer that looks like the end.
 */
export async function* readBlob(
  place: AzurePlace,
  key: string,
  range: ByteRange | null,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  throwIfInterrupted(signal)
  if (range !== null && range.length === 0) await assertReaches(place, key, range.offset, signal)
  let at = range?.offset ?? 0
  let end = range === null ? null : range.offset + range.length
  let etag: string | null = null
  for (let attempt = 1; end === null || at < end; attempt++) {
    using body = await openBody(place, key, { at, end, etag }, signal)
    end ??= body.size
    if (body.size < end) throw truncated(place, key, end, body.size)
    etag = body.etag
    const before = at
    try {
      for await (const chunk of body) {
        throwIfInterrupted(signal)
        at += chunk.length
        yield chunk
      }
      if (at < end) throw new ServiceError({ name: 'cut', code: 'the answer was cut' })
    } catch (error) {
      // Bytes that came are progress: only attempts that bring nothing are counted.
      if (at > before) attempt = 1
      await place.pause(error, attempt, signal)
    }
  }
}

async function openBody(
  place: AzurePlace,
  key: string,
  { at, end, etag }: { at: number; end: number | null; etag: string | null },
  signal: AbortSignal,
): Promise<Body> {
  const ask = (abortSignal: AbortSignal) =>
    place.blob(key, 'read').download(at, end === null ? undefined : end - at, {
      abortSignal,
      maxRetryRequests: 0,
      ...(etag === null ? {} : { conditions: { ifMatch: etag } }),
    })
  try {
    return new Body(await place.request(signal, ask), at, place.timing.idleMs, signal)
  } catch (error) {
    if (isRefusal(error, 'range')) await assertReaches(place, key, end ?? at + 1, signal)
    throw error
  }
}

/** STORE_TRUNCATED or STORE_NOT_FOUND where the object has no byte before `end`. */
async function assertReaches(place: AzurePlace, key: string, end: number, signal: AbortSignal): Promise<void> {
  const found = await propertiesOf(place, key, signal)
  if (found === null) throw new SalvorError('STORE_NOT_FOUND', { store: place.store, key })
  if ((found.contentLength ?? 0) < end) throw truncated(place, key, end, found.contentLength ?? 0)
}

function truncated(place: AzurePlace, key: string, wanted: number, found: number): SalvorError {
  return new SalvorError('STORE_TRUNCATED', { store: place.store, key, wanted: String(wanted), found: String(found) })
}
