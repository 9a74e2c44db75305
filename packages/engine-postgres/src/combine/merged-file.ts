import { PAGE } from '../incremental/form.ts'
import type { MergedTar } from './merged-tar.ts'
import type { Taker } from './read-level.ts'
import type { ScratchFile, ScratchPages } from './scratch-pages.ts'
import { hasPage, type ScratchTable, type WaitingFile } from './scratch-table.ts'

const BUFFER = 256 * 1024

/** What the files of one merge share. */
export interface Merging {
  readonly tar: MergedTar
  readonly pages: ScratchPages
  readonly table: ScratchTable
  readonly buffer: Buffer
}

export const mergeBuffer = (): Buffer => Buffer.allocUnsafeSlow(BUFFER)

/** A file that the full has, and of which increments have newer pages or another length: its bytes pass by, with theirs among them. */
export class MergedFile implements Taker {
  readonly #merging: Merging
  readonly #waiting: WaitingFile
  readonly #like: Buffer
  readonly #newer: ScratchFile | null
  /** Of the result, and how much of it the full has: whole pages. */
  readonly #size: number
  readonly #there: number
  #position = 0
  #begun = false

  /** `size`: of the file in the full; `like`: its header there. */
  constructor(merging: Merging, waiting: WaitingFile, size: number, like: Buffer) {
    this.#merging = merging
    this.#waiting = waiting
    this.#like = Buffer.from(like)
    this.#newer = waiting.some ? merging.pages.read(waiting.name) : null
    this.#size = Math.max(waiting.wanted * PAGE, this.#newer?.size ?? 0)
    this.#there = Math.min(this.#size, Math.floor(size / PAGE) * PAGE)
  }

  async write(bytes: Buffer): Promise<void> {
    await this.#begin()
    const count = Math.min(bytes.length, this.#there - this.#position)
    for (let at = 0; at < count;) {
      const newer = this.#isNewer(this.#position)
      const from = this.#position
      let to = nextPage(from)
      const end = from + count - at
      while (to < end && this.#isNewer(to) === newer) to += PAGE
      to = Math.min(to, end)
      if (newer) await this.#pushNewer(to)
      else await this.#merging.tar.data(bytes.subarray(at, at + to - from))
      this.#position = to
      at += to - from
    }
  }

  async end(): Promise<void> {
    await this.#begin()
    const { tar, table } = this.#merging
    await this.#pushNewer(this.#size)
    this.#newer?.[Symbol.dispose]()
    await tar.end(this.#waiting.name)
    table.done(this.#waiting)
  }

  async #begin(): Promise<void> {
    if (this.#begun) return
    this.#begun = true
    await this.#merging.tar.begin(this.#like, this.#waiting.name, this.#size)
  }

  /** Pages that no backup has are zeros. */
  async #pushNewer(to: number): Promise<void> {
    const { tar, buffer } = this.#merging
    for (let at = this.#position; at < to;) {
      const part = buffer.subarray(0, Math.min(buffer.length, to - at))
      if (this.#newer === null) part.fill(0)
      else this.#newer.fill(part, at)
      await tar.data(part)
      at += part.length
    }
  }

  #isNewer(position: number): boolean {
    const page = Math.floor(position / PAGE)
    return page >= this.#waiting.wanted || hasPage(this.#waiting.came, page)
  }
}

const nextPage = (position: number): number => (Math.floor(position / PAGE) + 1) * PAGE
