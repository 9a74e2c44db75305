import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Store } from '@salvor/shared/ports/store'

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

/** For the hint of an error: what stands before the last slash. */
export function sourceOf(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf('/')))
}
