import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Store } from '@salvor/shared/ports/store'

/** Objects lie in the source's folder, or in one of these in it. */
const BELOW_A_SOURCE = /\/(?:changes\/[^/]+\/|wal\/(?:[^/]+\/)?|claims\/)?[^/]+$/

/** A small object, whole. One that is larger than `limit` is refused before it is in memory: ARTIFACT_CORRUPT. */
export async function readObject(store: Store, key: string, limit: number, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of store.read(key, null, signal)) {
    size += chunk.length
    if (size > limit)
      throw new SalvorError('ARTIFACT_CORRUPT', { key, reason: `larger than ${limit} bytes`, source: sourceOf(key) })
    chunks.push(Buffer.from(chunk))
  }
  return Buffer.concat(chunks, size)
}

/** For the hint of an error: the source that an object belongs to. */
export function sourceOf(key: string): string {
  return key.replace(BELOW_A_SOURCE, '')
}
