import { closeSync, constants, openSync, readSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import type { ReadBackProof } from './read-back-proof.ts'

const CHUNK = 1024 * 1024
const READ = constants.O_RDONLY | constants.O_NOFOLLOW
/** Buffers that serve again: where objects are written every second, dead ones make Node collect the garbage of its whole heap. */
const free: Buffer[] = []
const MOST_FREE = 4

/**
 * Makes what was written durable and reads it back through a second opening, stretch by stretch behind the writer: so
 * the bytes still lie in the page cache, little is left to flush at the end, and a failed fsync is known early.
 */
export class ReadBack {
  readonly #writing: FileHandle
  readonly #path: string
  readonly #proof: ReadBackProof
  readonly #isLocal: boolean
  #buffer: Buffer | null = null
  #reading: FileHandle | null = null
  #work: Promise<void> = Promise.resolve()
  #done = 0
  /** Bytes for which it was asked. */
  asked = 0

  /** `isLocal`: what was just written is read from this machine's memory. */
  constructor(writing: FileHandle, path: string, proof: ReadBackProof, isLocal: boolean) {
    this.#isLocal = isLocal
    this.#writing = writing
    this.#path = path
    this.#proof = proof
  }

  /** The next bytes, before they are written. */
  given(bytes: Uint8Array): void {
    this.#proof.given(bytes)
  }

  /** Resolves when the stretch before this one is durable and read back; fails with what happened to it. */
  async upTo(size: number): Promise<void> {
    await this.#work
    this.asked = size
    this.#work = this.#stretch(size, false)
    this.#work.catch(() => undefined)
  }

  /** The digest of all bytes as they were read back, after a full fsync. Null: they are others than were given. */
  async finish(size: number, sent: string | null): Promise<string | null> {
    await this.#work
    await this.#stretch(size, true)
    await this.close()
    return this.#proof.digest(sent)
  }

  async close(): Promise<void> {
    await this.#work.catch(() => undefined)
    await this.#reading?.close()
    this.#reading = null
    if (this.#buffer !== null && free.length < MOST_FREE) free.push(this.#buffer)
    this.#buffer = null
  }

  async #stretch(size: number, last: boolean): Promise<void> {
    await (last ? this.#writing.sync() : this.#writing.datasync())
    const buffer = (this.#buffer ??= free.pop() ?? Buffer.allocUnsafeSlow(CHUNK))
    if (this.#isLocal && this.#done === 0 && size <= CHUNK) return this.#readAtOnce(buffer, size)
    this.#reading ??= await open(this.#path, READ)
    while (this.#done < size) {
      const length = Math.min(buffer.length, size - this.#done)
      const { bytesRead } = await this.#reading.read(buffer, 0, length, this.#done)
      if (bytesRead === 0) return
      this.#proof.seen(buffer.subarray(0, bytesRead))
      this.#done += bytesRead
    }
  }

  /** A small object: four ways to another thread would cost more than its bytes. */
  #readAtOnce(buffer: Buffer, size: number): void {
    const fd = openSync(this.#path, READ)
    try {
      while (this.#done < size) {
        const bytesRead = readSync(fd, buffer, 0, size - this.#done, this.#done)
        if (bytesRead === 0) return
        this.#proof.seen(buffer.subarray(0, bytesRead))
        this.#done += bytesRead
      }
    } finally {
      closeSync(fd)
    }
  }
}
