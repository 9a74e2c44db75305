import { constants, readSync, writeSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { PageTaker } from './changes/log-follower.ts'
import type { DatabaseFacts } from './child/messages.ts'
import { HEADER_BYTES, unusedRanges } from './header.ts'
import { PageSet } from './pages/page-set.ts'
import { readMost, shareBlocks, withFullDisk } from './scratch-copy.ts'

const CHUNK_BYTES = 1 << 20
/**
 * Written before the disk has it. An fsync of the application, or of a checkpoint, waits behind what its file system has still to write:
 * this much, not gigabytes.
 */
const FLUSH_BYTES = 16 << 20

/**
 * A copy of a database file that is written to meanwhile. Pages that were committed since the copy began are put at their place at once;
 * what the file holds of them does not count any more, be it older or half written. So it takes the room of the database, once.
 */
export class LiveCopy implements PageTaker, AsyncDisposable {
  readonly #source: FileHandle
  readonly #target: FileHandle
  readonly #path: string
  readonly #page_size: number
  readonly #captured = new PageSet(1024)
  /** The whole file lies in the copy already. */
  readonly #isShared: boolean
  #gate: PromiseWithResolvers<void> | null = null
  #parked = Promise.withResolvers<void>()
  /** Bytes of the file that could be read: fewer where it became shorter meanwhile. */
  #copied = 0
  page_count = 0

  private constructor(path: string, source: FileHandle, target: FileHandle, pageSize: number, shared: boolean) {
    this.#path = path
    this.#source = source
    this.#target = target
    this.#page_size = pageSize
    this.#isShared = shared
  }

  /** Where the file system can share blocks, that is the copy. */
  static async begin(from: string, to: string, pageSize: number): Promise<LiveCopy> {
    // Of an attempt before this one.
    await rm(to, { force: true })
    const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      const shared = await shareBlocks(from, to)
      const target = await open(to, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
      return new LiveCopy(to, source, target, pageSize, shared)
    } catch (error) {
      await source.close()
      throw withFullDisk(error, to)
    }
  }

  add(page: number, image: Buffer): void {
    this.#captured.grow(page)
    this.#captured.add(page)
    this.#write(image, (page - 1) * this.#page_size)
  }

  get isPaused(): boolean {
    return this.#gate !== null
  }

  /** Until `goOn`, nothing is read and nothing written but what is captured; resolves when the disk is at rest. */
  pause(): Promise<void> {
    this.#gate ??= Promise.withResolvers()
    return this.#parked.promise
  }

  goOn(): void {
    this.#gate?.resolve()
    this.#gate = null
  }

  /** Once: the first `size` bytes of the file, but for what was captured. */
  async run(size: number, signal: AbortSignal): Promise<void> {
    try {
      if (this.#isShared) this.#copied = size
      else await this.#copy(size, signal)
    } catch (error) {
      throw withFullDisk(error, this.#path)
    } finally {
      this.#parked.resolve()
    }
  }

  async #copy(size: number, signal: AbortSignal): Promise<void> {
    const pages = Math.max(1, Math.floor(CHUNK_BYTES / this.#page_size))
    const buffer = Buffer.allocUnsafeSlow(pages * this.#page_size)
    let unflushed = 0
    for (let offset = 0; offset < size; offset += buffer.length) {
      if (this.#gate !== null) {
        await this.#park(this.#gate.promise)
        unflushed = 0
      }
      if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
      const wanted = Math.min(buffer.length, size - offset)
      const read = await readMost(this.#source, buffer.subarray(0, wanted), offset)
      this.#place(buffer.subarray(0, read), offset)
      this.#copied = offset + read
      if (read < wanted) return
      unflushed += read
      if (unflushed < FLUSH_BYTES) continue
      await this.#target.datasync()
      unflushed = 0
    }
  }

  async #park(until: Promise<void>): Promise<void> {
    await this.#target.datasync()
    this.#parked.resolve()
    await until
    this.#parked = Promise.withResolvers()
  }

  /** In one go: nothing is captured between the look at what was and the write. */
  #place(chunk: Buffer, offset: number): void {
    const size = this.#page_size
    for (let at = 0; at + size <= chunk.length; at += size) {
      const page = (offset + at) / size + 1
      if (this.#captured.has(page)) this.#readBack(chunk.subarray(at, at + size), offset + at)
    }
    this.#write(chunk, offset)
  }

  #readBack(into: Buffer, offset: number): void {
    for (let done = 0; done < into.length;) {
      const bytes = readSync(this.#target.fd, into, done, into.length - done, offset + done)
      if (bytes === 0) throw new Error('the copy was cut')
      done += bytes
    }
  }

  #write(bytes: Buffer, offset: number): void {
    try {
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.#target.fd, bytes, done, bytes.length - done, offset + done)
    } catch (error) {
      throw withFullDisk(error, this.#path)
    }
  }

  /** Makes it the state of the last look. `held`: the state when it began. SOURCE_CHANGED: pages are missing. */
  async finish(held: DatabaseFacts, source: string): Promise<DatabaseFacts> {
    const { page_size } = held
    const page_count = this.#captured.count === 0 ? held.page_count : this.page_count
    const size = page_size * page_count
    const unused = new Set(unusedRanges(size, page_size).map(({ offset }) => offset / page_size + 1))
    for (let page = Math.floor(this.#copied / page_size) + 1; page <= page_count; page += 1)
      if (!this.#captured.has(page) && !unused.has(page)) throw new SalvorError('SOURCE_CHANGED', { source })
    await this.#target.truncate(size)
    const header = Buffer.alloc(HEADER_BYTES)
    await this.#target.read(header, 0, HEADER_BYTES, 0)
    const auto_vacuum = header.readUInt32BE(52) === 0 ? 0 : header.readUInt32BE(64) === 0 ? 1 : 2
    const numbers = { user_version: header.readInt32BE(60), application_id: header.readInt32BE(68) }
    return { ...held, page_count, auto_vacuum, ...numbers }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.goOn()
    await Promise.all([this.#source.close(), this.#target.close()])
  }
}
