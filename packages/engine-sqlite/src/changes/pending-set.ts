import { closeSync, openSync, read, rmSync, writeSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { PageSet } from '../pages/page-set.ts'
import { groupHead, headLine } from '../pages/page-stream.ts'
import { withFullDisk } from '../scratch-copy.ts'
import type { PageTaker } from './log-follower.ts'
import { giveChunk, PageMemory, takeChunk } from './page-memory.ts'

const readAt = promisify(read)
const RUN_BYTES = 1 << 20
/** Plain bytes of a set, below what a document can describe. */
export const LARGEST_SET = 2_000_000_000

/** More changed than one set can hold, as a VACUUM of a large database does. */
export class TooMuch extends Error {
  constructor() {
    super('more changed than one change set can hold')
  }
}

/** What a second of a busy database brings stays in memory, and is never written down. */
const MEMORY_BYTES = 4 << 20

/**
 * Pages that changed since the last set, each in its newest form: in memory while they are few, then each at its own place in a sparse file. However
 * long nothing can be stored, it takes no more room than the database has pages, and the memory of a bit a page.
 */
export class PendingSet implements PageTaker, AsyncDisposable {
  readonly #file: string
  readonly #folder: string
  #fd: number | null = null
  readonly #memory: PageMemory
  readonly #pages = new PageSet(1024)
  readonly page_size: number
  /** Of the database after the last commit. */
  page_count = 0

  /** `file`: a new one in `folder`. */
  constructor(file: string, folder: string, pageSize: number) {
    this.#file = file
    this.#folder = folder
    this.page_size = pageSize
    this.#memory = new PageMemory(pageSize, MEMORY_BYTES)
  }

  get isEmpty(): boolean {
    return this.#pages.count === 0
  }

  /** Pages that were brought; some of them may lie behind the database's end by now. */
  get bytes(): number {
    return this.#pages.count * this.page_size
  }

  add(page: number, image: Buffer): void {
    this.#pages.grow(page)
    this.#pages.add(page)
    if (this.#fd === null && this.#memory.keep(page, image)) return
    try {
      const fd = (this.#fd ??= this.#spill())
      this.#write(fd, page, image)
    } catch (error) {
      throw withFullDisk(error, this.#folder)
    }
  }

  /** All that is in memory, to a new file. */
  #spill(): number {
    const fd = openSync(this.#file, 'wx+', 0o600)
    try {
      for (const [page, image] of this.#memory) this.#write(fd, page, image)
    } catch (error) {
      closeSync(fd)
      rmSync(this.#file, { force: true })
      throw error
    }
    this.#memory.clear()
    return fd
  }

  #write(fd: number, page: number, image: Buffer): void {
    const offset = (page - 1) * this.page_size
    for (let done = 0; done < image.length;) {
      done += writeSync(fd, image, done, image.length - done, offset + done)
    }
  }

  has(page: number): boolean {
    return this.#pages.has(page)
  }

  count(): number {
    let count = 0
    for (const run of this.#runs(1 << 20)) count += run.count
    return count
  }

  /** As docs/format.md section 12 has it. A chunk is valid until the next one is asked for. */
  content(): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
    return this.#fd === null ? this.#inMemory() : this.#spooled()
  }

  /** One group of all pages, in pieces of a buffer that serves for all of them. */
  *#inMemory(): Generator<Uint8Array> {
    const { page_size, page_count } = this
    yield headLine({ page_size, page_count, digesting: null })
    const runs = [...this.#runs(Number.POSITIVE_INFINITY)]
    if (runs.length > 0) yield groupHead(runs)
    const chunk = takeChunk()
    try {
      let filled = 0
      for (const { first, count } of runs)
        for (let page = first; page < first + count; page += 1) {
          if (filled + page_size > chunk.length) {
            yield chunk.subarray(0, filled)
            filled = 0
          }
          chunk.set(this.#memory.at(page)!, filled)
          filled += page_size
        }
      if (filled > 0) yield chunk.subarray(0, filled)
    } finally {
      giveChunk(chunk)
    }
    yield Buffer.alloc(4)
  }

  async *#spooled(): AsyncGenerator<Uint8Array> {
    const { page_size, page_count } = this
    yield headLine({ page_size, page_count, digesting: null })
    for await (const { first, count, pages } of this.#images()) {
      yield groupHead([{ first, count }])
      yield pages
    }
    yield Buffer.alloc(4)
  }

  async *#images() {
    const { page_size } = this
    for (const { first, count } of this.#runs(Math.max(1, Math.floor(RUN_BYTES / page_size)))) {
      const pages = Buffer.allocUnsafe(count * page_size)
      if (this.#fd === null) {
        for (let i = 0; i < count; i += 1) pages.set(this.#memory.at(first + i)!, i * page_size)
      } else await this.#readSpooled(this.#fd, pages, (first - 1) * page_size)
      yield { first, count, pages }
    }
  }

  async #readSpooled(fd: number, into: Buffer, offset: number): Promise<void> {
    for (let done = 0; done < into.length;) {
      const { bytesRead } = await readAt(fd, into, done, into.length - done, offset + done)
      if (bytesRead === 0) throw new Error('a spooled set was cut')
      done += bytesRead
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#memory.clear()
    if (this.#fd === null) return
    closeSync(this.#fd)
    await rm(this.#file, { force: true })
  }

  *#runs(longest: number): Generator<{ readonly first: number; readonly count: number }> {
    for (const { first, count } of this.#pages.runs(longest)) {
      const within = Math.min(count, this.page_count - first + 1)
      if (within <= 0) return
      yield { first, count: within }
    }
  }
}
