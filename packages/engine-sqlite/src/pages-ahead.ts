import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'

/**
 * Pages that were committed before a copy has come to their place, each in its newest image. One after another in a file, for at their own places
 * they would leave the copy in a hundred thousand pieces, which take minutes to delete. No more than the log holds.
 */
export class PagesAhead implements Disposable {
  readonly #file: string
  readonly #page_size: number
  readonly #slots = new Map<number, number>()
  #fd: number | null = null
  #next = 0

  /** `file`: a new one. */
  constructor(file: string, pageSize: number) {
    this.#file = file
    this.#page_size = pageSize
  }

  keep(page: number, image: Buffer): void {
    const fd = (this.#fd ??= openSync(this.#file, 'w+', 0o600))
    const slot = this.#slots.get(page) ?? this.#next
    const offset = slot * this.#page_size
    for (let done = 0; done < image.length;) done += writeSync(fd, image, done, image.length - done, offset + done)
    this.#slots.set(page, slot)
    this.#next = Math.max(this.#next, slot + 1)
  }

  /** Whether there was one, which is forgotten now. */
  take(page: number, into: Buffer): boolean {
    const slot = this.#slots.get(page)
    if (slot === undefined) return false
    const offset = slot * this.#page_size
    for (let done = 0; done < into.length;) {
      const bytes = readSync(this.#fd!, into, done, into.length - done, offset + done)
      if (bytes === 0) throw new Error('kept pages were cut')
      done += bytes
    }
    this.#slots.delete(page)
    return true
  }

  pages(): number[] {
    return [...this.#slots.keys()]
  }

  forget(): void {
    this.#slots.clear()
    this.#next = 0
  }

  [Symbol.dispose](): void {
    if (this.#fd === null) return
    closeSync(this.#fd)
    rmSync(this.#file, { force: true })
  }
}
