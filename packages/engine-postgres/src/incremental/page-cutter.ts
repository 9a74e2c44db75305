import { PAGE } from './form.ts'

/** Cuts bytes of a file, however they come, into its pages. Pages are handed on in place; only one that lies across two chunks is copied. */
export class PageCutter {
  readonly #held = Buffer.alloc(PAGE)
  #filled = 0

  /** A page is valid during the call of `take`. Whole pages over all calls of one file. */
  cut(bytes: Buffer, take: (page: Buffer) => void): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === 0 && bytes.length - at >= PAGE) {
        take(bytes.subarray(at, at + PAGE))
        at += PAGE
        continue
      }
      const count = bytes.copy(this.#held, this.#filled, at)
      at += count
      this.#filled += count
      if (this.#filled < PAGE) continue
      this.#filled = 0
      take(this.#held)
    }
  }
}
