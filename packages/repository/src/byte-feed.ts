import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Store } from '@salvor/shared/ports/store'

/** The bytes of an object in order, as many at a time as the taker wants. */
export interface ByteFeed extends AsyncDisposable {
  /** Fills `into`; false when the object ended before. */
  take(into: Uint8Array): Promise<boolean>
  /** Passes over `count` bytes; false as above. */
  skip(count: number): Promise<boolean>
}

/**
 * The bytes of an object from `from` up to `length`. One on this machine's disk is read straight into the taker's memory, since buffers that a
 * stream makes and drops are most of what a restore would hold; any other comes through the store.
 */
export async function openFeed(
  store: Store,
  key: string,
  length: number,
  signal: AbortSignal,
  from = 0,
): Promise<ByteFeed> {
  const path = store.localPath(key)
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  // What keeps the file from being opened is told by the store, in its own words.
  const handle = path === null ? null : await open(path, flags).catch(() => null)
  if (handle) return new FileFeed(handle, store.name, { from, end: length }, signal)
  return new StreamFeed(store.read(key, { offset: from, length: length - from }, signal))
}

class FileFeed implements ByteFeed {
  readonly #handle: FileHandle
  readonly #store: string
  readonly #end: number
  readonly #signal: AbortSignal
  #position: number

  constructor(handle: FileHandle, store: string, range: { from: number; end: number }, signal: AbortSignal) {
    this.#handle = handle
    this.#store = store
    this.#position = range.from
    this.#end = range.end
    this.#signal = signal
  }

  async take(into: Uint8Array): Promise<boolean> {
    if (this.#signal.aborted) throw new SalvorError('INTERRUPTED', {}, this.#signal.reason)
    if (this.#position + into.length > this.#end) return false
    for (let at = 0; at < into.length;) {
      const { bytesRead } = await this.#handle
        .read(into, at, into.length - at, this.#position)
        .catch((error: NodeJS.ErrnoException) => {
          throw new SalvorError('STORE_IO', { store: this.#store, reason: error.code ?? 'unknown' }, error)
        })
      if (bytesRead === 0) return false
      at += bytesRead
      this.#position += bytesRead
    }
    return true
  }
  async skip(count: number): Promise<boolean> {
    this.#position += count
    return this.#position <= this.#end
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

class StreamFeed implements ByteFeed {
  readonly #iterator: AsyncIterator<Uint8Array>
  #rest: Uint8Array = new Uint8Array(0)

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#iterator = bytes[Symbol.asyncIterator]()
  }
  async take(into: Uint8Array): Promise<boolean> {
    return await this.#pull(into.length, (part, at) => into.set(part, at))
  }
  async skip(count: number): Promise<boolean> {
    return await this.#pull(count, () => undefined)
  }
  async #pull(count: number, give: (part: Uint8Array, at: number) => void): Promise<boolean> {
    for (let at = 0; at < count;) {
      if (this.#rest.length === 0) {
        const next = await this.#iterator.next()
        if (next.done) return false
        this.#rest = next.value
      }
      const part = this.#rest.subarray(0, count - at)
      give(part, at)
      at += part.length
      this.#rest = this.#rest.subarray(part.length)
    }
    return true
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#iterator.return?.()
  }
}
