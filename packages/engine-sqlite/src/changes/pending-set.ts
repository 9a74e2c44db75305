import { closeSync, openSync, read, writeSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { PageSet } from '../pages/page-set.ts'
import { groupHead, headLine } from '../pages/page-stream.ts'
import { withFullDisk } from '../scratch-copy.ts'

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

/**
 * Pages that changed since the last set, each in its newest form and at its own place in a sparse file: however long nothing can be stored,
 * it takes no more room than the database has pages, and the memory of a bit a page.
 */
export class PendingSet implements AsyncDisposable {
  readonly #file: string
  readonly #folder: string
  readonly #fd: number
  readonly #pages = new PageSet(1024)
  readonly page_size: number
  /** Of the database after the last commit. */
  page_count = 0

  /** `file`: a new one in `folder`. */
  constructor(file: string, folder: string, pageSize: number) {
    this.#file = file
    this.#folder = folder
    this.#fd = openSync(file, 'wx+', 0o600)
    this.page_size = pageSize
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
    const offset = (page - 1) * this.page_size
    try {
      for (let done = 0; done < image.length;) {
        done += writeSync(this.#fd, image, done, image.length - done, offset + done)
      }
    } catch (error) {
      throw withFullDisk(error, this.#folder)
    }
  }

  count(): number {
    let count = 0
    for (const run of this.#runs(1 << 20)) count += run.count
    return count
  }

  /** As docs/format.md section 12 has it. */
  async *content(): AsyncGenerator<Uint8Array> {
    const { page_size, page_count } = this
    yield headLine({ page_size, page_count, digesting: null })
    for (const { first, count } of this.#runs(Math.max(1, Math.floor(RUN_BYTES / page_size)))) {
      const pages = Buffer.allocUnsafe(count * page_size)
      for (let done = 0; done < pages.length;) {
        const at = (first - 1) * page_size + done
        const { bytesRead } = await readAt(this.#fd, pages, done, pages.length - done, at)
        if (bytesRead === 0) throw new Error('a spooled set was cut')
        done += bytesRead
      }
      yield groupHead([{ first, count }])
      yield pages
    }
    yield Buffer.alloc(4)
  }

  async [Symbol.asyncDispose](): Promise<void> {
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
