import { constants, writeSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { PageTaker } from './changes/log-follower.ts'
import type { DatabaseFacts } from './child/messages.ts'
import { HEADER_BYTES, unusedRanges } from './header.ts'
import { PagesAhead } from './pages-ahead.ts'
import { PageSet } from './pages/page-set.ts'
import { readMost, shareBlocks, withFullDisk } from './scratch-copy.ts'

const CHUNK_BYTES = 1 << 20
/**
 * Written before the disk has it. An fsync of the application, or of a checkpoint, waits behind what its file system has still to write:
 * this much, not gigabytes.
 */
const FLUSH_BYTES = 16 << 20

/**
 * A copy of a database file that is written to meanwhile. Of each page that was committed since the copy began, the committed image counts,
 * not what the file happens to hold of it, which may be older or half written. So it takes the room of the database, once.
 */
export class LiveCopy implements PageTaker, AsyncDisposable {
  readonly #source: FileHandle
  readonly #target: FileHandle
  readonly #path: string
  readonly #page_size: number
  readonly #size: number
  /** Committed, and in the log still; the copy has not come to them. */
  readonly #ahead: PagesAhead
  /** Put at their place at once: the copy had been there. */
  readonly #captured = new PageSet(1024)
  #gate: PromiseWithResolvers<void> | null = null
  #parked = Promise.withResolvers<void>()
  /** Up to where the file counts no more. */
  #passed = 0
  /** Bytes of the file that could be read: fewer where it became shorter meanwhile. */
  #copied = 0
  #logs = 0
  page_count = 0

  private constructor(path: string, files: readonly [FileHandle, FileHandle], size: number, pageSize: number) {
    this.#path = path
    ;[this.#source, this.#target] = files
    this.#size = size
    this.#page_size = pageSize
    this.#ahead = new PagesAhead(`${path}-ahead`, pageSize)
  }

  /** Of the first `size` bytes. Where the file system can share blocks, all of them are copied by then. */
  static async begin(from: string, to: string, size: number, pageSize: number): Promise<LiveCopy> {
    const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      const shared = await shareBlocks(from, to)
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
      const target = await open(to, shared ? flags : flags | constants.O_TRUNC, 0o600)
      const copy = new LiveCopy(to, [source, target], size, pageSize)
      if (shared) copy.#came(size)
      return copy
    } catch (error) {
      await source.close()
      throw withFullDisk(error, to)
    }
  }

  add(page: number, image: Buffer): void {
    const offset = (page - 1) * this.#page_size
    try {
      if (offset >= this.#passed && offset < this.#size) {
        this.#ahead.keep(page, image)
        return
      }
      this.#write(image, offset)
    } catch (error) {
      throw withFullDisk(error, this.#path)
    }
    this.#captured.grow(page)
    this.#captured.add(page)
  }

  /** All that was added lies in the file by now: the log begins anew. */
  logBegins(): void {
    this.#ahead.forget()
    this.#logs += 1
  }

  /** Bytes that were copied, or shared. */
  get copied(): number {
    return this.#copied
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

  /** Once: copies what is not shared. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      if (this.#copied < this.#size) await this.#copy(signal)
      this.#end()
    } catch (error) {
      throw withFullDisk(error, this.#path)
    } finally {
      this.#parked.resolve()
    }
  }

  async #copy(signal: AbortSignal): Promise<void> {
    const pages = Math.max(1, Math.floor(CHUNK_BYTES / this.#page_size))
    const buffer = Buffer.allocUnsafeSlow(pages * this.#page_size)
    let unflushed = 0
    while (this.#copied < this.#size) {
      if (this.#gate !== null) {
        await this.#park(this.#gate.promise)
        unflushed = 0
      }
      if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
      const wanted = buffer.subarray(0, Math.min(buffer.length, this.#size - this.#copied))
      const chunk = wanted.subarray(0, await this.#read(wanted))
      this.#place(chunk)
      if (chunk.length < wanted.length) return
      unflushed += chunk.length
      if (unflushed < FLUSH_BYTES) continue
      await this.#target.datasync()
      unflushed = 0
    }
  }

  /** What was in a log that began anew meanwhile may have come to the file behind our read. */
  async #read(into: Buffer): Promise<number> {
    for (;;) {
      const logs = this.#logs
      const read = await readMost(this.#source, into, this.#copied)
      if (logs === this.#logs) return read
    }
  }

  async #park(until: Promise<void>): Promise<void> {
    await this.#target.datasync()
    this.#parked.resolve()
    await until
    this.#parked = Promise.withResolvers()
  }

  /** In one go: nothing is committed between the look at what was and the write. */
  #place(chunk: Buffer): void {
    const size = this.#page_size
    const before = this.#copied
    for (let at = 0; at + size <= chunk.length; at += size)
      this.#ahead.take((before + at) / size + 1, chunk.subarray(at, at + size))
    this.#write(chunk, before)
    this.#came(before + chunk.length)
  }

  #came(offset: number): void {
    this.#copied = offset
    this.#passed = offset
  }

  /** Where the file became shorter, what was committed behind its end counts all the same. */
  #end(): void {
    this.#passed = Number.POSITIVE_INFINITY
    const image = Buffer.allocUnsafeSlow(this.#page_size)
    for (const page of this.#ahead.pages()) if (this.#ahead.take(page, image)) this.add(page, image)
  }

  #write(bytes: Buffer, offset: number): void {
    for (let done = 0; done < bytes.length;)
      done += writeSync(this.#target.fd, bytes, done, bytes.length - done, offset + done)
  }

  /** Makes it the state of the last look. `held`: the state when it began. SOURCE_CHANGED: pages are missing. */
  async finish(held: DatabaseFacts, source: string): Promise<DatabaseFacts> {
    const { page_size } = held
    const page_count = this.page_count === 0 ? held.page_count : this.page_count
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
    this.#ahead[Symbol.dispose]()
    await Promise.all([this.#source.close(), this.#target.close()])
  }
}
