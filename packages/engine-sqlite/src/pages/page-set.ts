/** Pages of a database, by number from 1 on: one bit each, since a database may have hundreds of millions. */
export class PageSet {
  #bits: Uint8Array
  count = 0

  constructor(pages: number) {
    this.#bits = new Uint8Array(Math.ceil(pages / 8))
  }

  add(page: number): void {
    const at = page - 1
    const mask = 1 << (at & 7)
    if ((this.#bits[at >> 3]! & mask) !== 0) return
    this.#bits[at >> 3]! |= mask
    this.count += 1
  }

  /** Makes room for pages up to this number. */
  grow(pages: number): void {
    if (pages <= 8 * this.#bits.length) return
    const bits = new Uint8Array(Math.max(Math.ceil(pages / 8), 2 * this.#bits.length))
    bits.set(this.#bits)
    this.#bits = bits
  }

  has(page: number): boolean {
    const at = page - 1
    return ((this.#bits[at >> 3] ?? 0) & (1 << (at & 7))) !== 0
  }

  /** Ascending, as runs of neighbours of at most `longest` pages. */
  *runs(longest: number): Generator<{ readonly first: number; readonly count: number }> {
    let first = 0
    let count = 0
    for (const page of this.#each()) {
      if (count > 0 && page === first + count && count < longest) {
        count += 1
        continue
      }
      if (count > 0) yield { first, count }
      first = page
      count = 1
    }
    if (count > 0) yield { first, count }
  }

  *#each(): Generator<number> {
    for (let byte = 0; byte < this.#bits.length; byte += 1) {
      const bits = this.#bits[byte]!
      if (bits === 0) continue
      for (let bit = 0; bit < 8; bit += 1) if ((bits & (1 << bit)) !== 0) yield byte * 8 + bit + 1
    }
  }
}
