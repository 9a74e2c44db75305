import type { BlobGetPropertiesResponse } from '@azure/storage-blob'
import { isRefusal } from './errors.ts'
import type { AzurePlace } from './place.ts'

/** Name of the metadata in which the writer puts the SHA-256 of the object. */
export const DIGEST = 'salvor_sha256'

/** Null: there is no such object. */
export async function propertiesOf(
  place: AzurePlace,
  key: string,
  signal: AbortSignal,
): Promise<BlobGetPropertiesResponse | null> {
  try {
    return await place.request(signal, (abortSignal) => place.blob(key, 'read').getProperties({ abortSignal }))
  } catch (error) {
    if (isRefusal(error, 'missing')) return null
    throw error
  }
}
