import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectWriter, Store, StoredObject } from '@salvor/shared/ports/store'
import { StreamHash } from './hash.ts'

/** Writes one object from pieces; gives its SHA-256. A failure leaves nothing readable. */
export async function putObject(
  store: Store,
  key: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<string> {
  const hash = new StreamHash()
  const writer = await store.create(key, { hashed: true }, signal)
  try {
    for await (const piece of pieces) {
      hash.update(piece)
      await writer.write(piece)
    }
    return await finishObject(store, writer, hash.bytes, hash.hex())
  } catch (error) {
    await writer.abort()
    throw error
  }
}

/** Ends a write and compares what the store says it holds with what was sent. */
export async function finishObject(store: Store, writer: ObjectWriter, size: number, sha256: string): Promise<string> {
  const stored: StoredObject = await writer.finish(sha256)
  const same = stored.size === size && (stored.sha256 === null || stored.sha256 === sha256)
  if (same) return sha256
  throw new SalvorError('STORE_BAD_ECHO', { store: store.name, key: stored.key, reason: 'size or SHA-256 differ' })
}
