import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { StoredObject } from '@salvor/shared/ports/store'
import { isObjectKey } from '@salvor/shared/vocabulary/object-key'
import type { AzurePlace } from './place.ts'
import { DIGEST } from './properties.ts'

const PAGE = 1000

/** Page by page, ascending, as a flat namespace gives them. What has no name of ours is passed over. */
export async function* listBlobs(place: AzurePlace, prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject> {
  let last = ''
  let continuation: string | undefined
  do {
    const { segment, continuationToken } = await page(place, prefix, continuation, signal)
    for (const { name, properties, metadata } of segment.blobItems) {
      const key = name.slice(place.prefix.length)
      if (!isObjectKey(key)) continue
      if (key < last) throw unordered(place)
      last = key
      yield { key, size: properties.contentLength ?? 0, sha256: metadata?.[DIGEST] ?? null }
    }
    continuation = continuationToken
  } while (continuation)
}

/** A page is asked for again by the token of the one before. */
async function page(place: AzurePlace, prefix: string, continuationToken: string | undefined, signal: AbortSignal) {
  throwIfInterrupted(signal)
  return place.request(signal, async (abortSignal) => {
    const options = { abortSignal, prefix: place.prefix + prefix, includeMetadata: true }
    const settings = { maxPageSize: PAGE, ...(continuationToken ? { continuationToken } : {}) }
    const { value } = await place.container('read').listBlobsFlat(options).byPage(settings).next()
    if (!value) throw new Error('a page without content')
    return value
  })
}

function unordered(place: AzurePlace): SalvorError {
  const reason = 'its account has a hierarchical namespace, which lists in another order; use an account without'
  return new SalvorError('STORE_DENIED', { store: place.store, what: 'list in order', reason })
}
