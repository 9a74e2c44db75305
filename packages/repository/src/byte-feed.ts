import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Store } from '@salvor/shared/ports/store'

/** The bytes of an object in order, as many at a time as the taker wants. */
export interface ByteFeed extends AsyncDisposable {
  /** Fills `into`; false when the object ended before. */
  take(into: Uint8Array): Promise<boolean>
}

/**
 * The first `length` bytes of an object. One on this machine's disk is read straight into the taker's memory, since buffers that a
 * stream makes and drops are most of what a restore would hold; any other comes through the store.
 */
export async function openFeed(store: Store, key: string, length: number, signal: AbortSignal): Promise<ByteFeed> {
  const path = store.localPath(key)
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  // What keeps the file from being opened is told by the store, in its own words.
  const handle = path === null ? null : await open(path, flags).catch(() => null)
  if (handle) return new FileFeed(handle, store.name, length, signal)
  return new StreamFeed(store.read(key, { offset: 0, length }, signal))
}

class FileFeed implements ByteFeed {
  readonly #handle: FileHandle
  readonly #store: string
  readonly #length: number
  readonly #signal: AbortSignal
  #position = 0

  constructor(handle: FileHandle, store: string, length: number, signal: AbortSignal) {
    this.#handle = handle
    this.#store = store
    this.#length = length
    this.#signal = signal
  }

  async take(into: Uint8Array): Promise<boolean> {
    if (this.#signal.aborted) throw new SalvorError('INTERRUPTED', {}, this.#signal.reason)
    if (this.#position + into.length > this.#length) return false
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
