import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Increment } from '@salvor/shared/ports/engine'
import { assertRoom, withFullDisk } from '../scratch-copy.ts'
import { PageSet } from './page-set.ts'
import { type PageRun, type PagesHead, PageStream } from './page-stream.ts'

/**
 * The pages that the incrementals of a chain bring, each in its newest form and at its own place in a sparse scratch file: that
 * takes as much room as they have different pages, and the memory of a bit a page.
 */
export class NewestPages implements Disposable {
  readonly #folder: string
  readonly #fd: number
  #head: PagesHead | null = null
  #pages = new PageSet(0)
  /** Pages up to here are looked for in what is older: a state that was shorter in between cut the others off. */
  #reach = Number.POSITIVE_INFINITY

  /** `file`: a new one in `folder`; the caller removes it. */
  constructor(file: string, folder: string) {
    this.#folder = folder
    this.#fd = openSync(file, 'wx+', 0o600)
  }

  /** The newest one first. ARTIFACT_CORRUPT, DISK_FULL. */
  async add(increment: Increment, signal: AbortSignal): Promise<void> {
    const head = await increment.open(async (content) => {
      await assertRoom(this.#folder, content.size)
      const stream: PageStream = new PageStream(increment.id, (first, pages) =>
        this.#take(this.#meet(stream.head!, increment.id), first, pages),
      )
      for await (const chunk of content.chunks(signal)) stream.take(chunk)
      return stream.end()
    })
    this.#meet(head, increment.id)
    this.#reach = Math.min(this.#reach, head.page_count)
  }

  /** Of the newest state. */
  get head(): PagesHead {
    if (this.#head) return this.#head
    throw new SalvorError('INTERNAL', { what: 'a chain without incrementals' })
  }

  /** Pages from the full that count; those behind them that did not come are zeros. */
  get reach(): number {
    return this.#reach
  }

  /** As if the pages behind the reach that did not come had come as the zeros that they are: then it does not matter what it is laid over. */
  fillBehindReach(): void {
    const { page_size, page_count } = this.head
    ftruncateSync(this.#fd, page_count * page_size)
    for (let page = this.#reach + 1; page <= page_count; page += 1) this.#pages.add(page)
  }

  /** Puts those of `count` pages from `first` on that came into `into`, which begins with page `first`. */
  overlay(into: Buffer, first: number, count: number): void {
    const { page_size } = this.head
    for (let from = 0; from < count;) {
      const came = this.#pages.has(first + from)
      let to = from + 1
      while (to < count && this.#pages.has(first + to) === came) to += 1
      if (came) this.#read(into.subarray(from * page_size, to * page_size), (first + from - 1) * page_size)
      from = to
    }
  }

  /** How many pages came. */
  get count(): number {
    return this.#pages.count
  }

  /** Neighbours among those that came, ascending, at most so many at once. */
  runs(longest: number = Number.POSITIVE_INFINITY): Generator<PageRun> {
    return this.#pages.runs(longest)
  }

  /** Bytes of the file: every page that came lies at `(number - 1) * page_size`. Gives how many there are; what lies between them is of no page. */
  readFile(into: Uint8Array, at: number): number {
    return readSync(this.#fd, into, 0, into.length, at)
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }

  #meet(head: PagesHead, id: string): PagesHead {
    if (!this.#head) {
      this.#head = head
      this.#pages = new PageSet(head.page_count)
    }
    if (head.page_size === this.#head.page_size) return head
    throw new SalvorError('ARTIFACT_CORRUPT', { key: id, reason: 'its pages have another size', source: id })
  }

  /** Keeps the pages of a run that nothing newer brought. */
  #take({ page_size }: PagesHead, first: number, pages: Buffer): void {
    const count = Math.min(pages.length / page_size, Math.max(0, this.#reach - first + 1))
    for (let from = 0; from < count;) {
      let to = from
      while (to < count && !this.#pages.has(first + to)) this.#pages.add(first + to++)
      this.#write(pages.subarray(from * page_size, to * page_size), (first + from - 1) * page_size)
      from = to + 1
    }
  }

  #write(bytes: Buffer, at: number): void {
    try {
      for (let done = 0; done < bytes.length;) {
        done += writeSync(this.#fd, bytes, done, bytes.length - done, at + done)
      }
    } catch (error) {
      throw withFullDisk(error, this.#folder)
    }
  }

  #read(into: Buffer, at: number): void {
    for (let done = 0; done < into.length;) {
      const count = readSync(this.#fd, into, done, into.length - done, at + done)
      if (count === 0) throw new SalvorError('INTERNAL', { what: 'a scratch file that was cut' })
      done += count
    }
  }
}
