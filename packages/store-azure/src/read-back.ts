import { createHash } from 'node:crypto'
import type { BlobGetPropertiesResponse } from '@azure/storage-blob'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { AzurePlace } from './place.ts'
import { DIGEST, propertiesOf } from './properties.ts'
import { readBlob } from './read.ts'
import type { Block } from './staging.ts'

/** What was sent, as the writer knows it. */
export interface Sent {
  readonly key: string
  readonly size: number
  readonly sha256: string
  /** In order; empty for an object that went up in one request. */
  readonly blocks: readonly Block[]
  /** Of an object in one request: the MD5 that the service keeps of what it received. */
  readonly md5: Buffer | null
  /** The service confirmed the checksum of everything it took. */
  readonly echoed: boolean
}

/**
 * Proves after the write that the object is what was sent. The digest in the metadata is only what we said ourselves, so
 * it proves nothing: that is done by the list of committed blocks (each was compared with its MD5 by the service on
 * arrival, and its name is the digest of the bytes up to its end), or by the MD5 that the service keeps of an object sent
 * in one request. Where the service did not confirm the checksums, the whole object is read and hashed.
 */
export async function assertStored(place: AzurePlace, sent: Sent, signal: AbortSignal): Promise<void> {
  const found = await propertiesOf(place, sent.key, signal)
  const wrong = (reason: string) => new SalvorError('STORE_BAD_ECHO', { store: place.store, key: sent.key, reason })
  if (found === null) throw wrong('it is not there after it was written')
  if (found.contentLength !== sent.size) throw wrong(`it has ${found.contentLength} bytes, not ${sent.size}`)
  if (found.metadata?.[DIGEST] !== sent.sha256) throw wrong('its digest is not the one that was set')
  if (!(await isSame(place, found, sent, signal))) throw wrong('it holds other bytes than were sent')
}

/** Whether the object that has the name already holds the bytes that were to be written; null: none can be seen. */
export async function holdsTheSame(place: AzurePlace, sent: Sent, signal: AbortSignal): Promise<boolean | null> {
  const found = await propertiesOf(place, sent.key, signal)
  if (found === null) return null
  if (found.contentLength !== sent.size) return false
  // Its MD5 may come from whoever wrote it; a small object is read instead.
  return isSame(place, found, { ...sent, md5: null }, signal)
}

async function isSame(
  place: AzurePlace,
  found: BlobGetPropertiesResponse,
  sent: Sent,
  signal: AbortSignal,
): Promise<boolean> {
  // In the archive tier neither blocks nor bytes can be seen for hours: what is left is what the service says of them.
  if (found.accessTier === 'Archive') return found.metadata?.[DIGEST] === sent.sha256
  if (sent.echoed && sent.md5 !== null && found.contentMD5 !== undefined) return sent.md5.equals(found.contentMD5)
  if (sent.echoed && sent.blocks.length > 0 && (await hasBlocks(place, sent, signal))) return true
  return (await hashOf(place, sent.key, signal)) === sent.sha256
}

async function hasBlocks(place: AzurePlace, { key, blocks }: Sent, signal: AbortSignal): Promise<boolean> {
  const ask = (abortSignal: AbortSignal) => place.blob(key, 'read').getBlockList('committed', { abortSignal })
  const { committedBlocks = [] } = await place.request(signal, ask)
  return (
    committedBlocks.length === blocks.length &&
    blocks.every(({ id, size }, n) => committedBlocks[n]?.name === id && committedBlocks[n].size === size)
  )
}

async function hashOf(place: AzurePlace, key: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of readBlob(place, key, null, signal)) hash.update(chunk)
  return hash.digest('hex')
}
