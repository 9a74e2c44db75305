export interface ZeroRange {
  readonly offset: number
  readonly length: number
}

/** Walks through ranges of zeros in step with the frames of a file. */
export class ZeroRanges {
  readonly #ranges: readonly ZeroRange[]
  #next = 0

  constructor(ranges: readonly ZeroRange[]) {
    const ascending = ranges.every((range, n) => n === 0 || ranges[n - 1]!.offset <= range.offset)
    this.#ranges = ascending ? ranges : ranges.toSorted((a, b) => a.offset - b.offset)
  }

  /** What lies in `length` bytes from `offset`, relative to it, without overlaps. Offsets never go back from call to call. */
  within(offset: number, length: number): readonly (readonly [offset: number, length: number])[] {
    const found: (readonly [number, number])[] = []
    let from = offset
    for (; this.#next < this.#ranges.length; this.#next++) {
      const range = this.#ranges[this.#next]!
      const start = Math.max(range.offset, from)
      const end = Math.min(range.offset + range.length, offset + length)
      if (end > start) {
        found.push([start - offset, end - start])
        from = end
      }
      if (range.offset + range.length > offset + length) break
    }
    return found
  }
}
