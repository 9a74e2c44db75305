import type { AlikeBytes } from '@salvor/shared/ports/artifact'

const FIELDS = 3

/** Where two files of digests may be alike: a number or three for each file of a cluster at most, one stretch where nothing came or went. */
export class AlikeRanges {
  /** Own offset, offset in the parent's, length. */
  #numbers = new Float64Array(FIELDS * 256)
  #count = 0

  constructor() {
    // The first line, and what else begins with it.
    this.add(0, 0, 0)
  }

  /** Both ascending; one that goes back in the parent's is left out: those come in another order. */
  add(own: number, base: number, length: number): void {
    const last = FIELDS * (this.#count - 1)
    if (this.#count > 0) {
      const gap = own - (this.#numbers[last]! + this.#numbers[last + 2]!)
      const baseGap = base - (this.#numbers[last + 1]! + this.#numbers[last + 2]!)
      if (baseGap < 0) return
      // Between two that follow each other in both lie the same name and count, most of the time.
      if (gap === baseGap) {
        this.#numbers[last + 2] = own + length - this.#numbers[last]!
        return
      }
    }
    if (FIELDS * (this.#count + 1) > this.#numbers.length) this.#grow()
    this.#numbers.set([own, base, length], FIELDS * this.#count)
    this.#count += 1
  }

  *ranges(): Generator<AlikeBytes> {
    for (let at = 0; at < FIELDS * this.#count; at += FIELDS) {
      const [own, base, length] = this.#numbers.subarray(at, at + FIELDS) as unknown as [number, number, number]
      yield { own, base, length }
    }
  }

  #grow(): void {
    const numbers = new Float64Array(2 * this.#numbers.length)
    numbers.set(this.#numbers)
    this.#numbers = numbers
  }
}
