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

/** The same for bytes of any number: exactly the ones asked for, from an object's stream. */
export class ByteFeed implements AsyncDisposable {
  readonly #iterator: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#iterator = bytes[Symbol.asyncIterator]()
  }
  /** Fills `into`; false when the stream ended before. */
  async take(into: Uint8Array): Promise<boolean> {
    for (let at = 0; at < into.length;) {
      if (this.#rest.length === 0) {
        const next = await this.#iterator.next()
        if (next.done) return false
        this.#rest = next.value
      }
      const part = this.#rest.subarray(0, into.length - at)
      into.set(part, at)
      at += part.length
      this.#rest = this.#rest.subarray(part.length)
    }
    return true
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#iterator.return?.()
  }
}
