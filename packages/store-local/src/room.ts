import { SalvorError } from '@salvor/shared/errors/salvor-error'

/**
 * What `max_size` still leaves: the objects as they were counted once, and what this process writes. What others write
 * or delete meanwhile is seen when it is counted again: after a deletion, and after a writer found no room.
 */
export class Room {
  readonly #store: string
  readonly #max: number | null
  #stored: number | null = null
  #pending = 0

  constructor(store: string, max: number | null) {
    this.#store = store
    this.#max = max
  }

  /** STORE_FULL when `expected` bytes do not fit. `count` looks at the store. */
  async open(expected: number, count: () => Promise<number>): Promise<void> {
    if (this.#max === null) return
    this.#stored ??= await count()
    this.check(expected)
  }

  check(more: number): void {
    if (this.#max === null || (this.#stored ?? 0) + this.#pending + more <= this.#max) return
    this.#stored = null
    throw new SalvorError('STORE_FULL', { store: this.#store })
  }

  take(bytes: number): void {
    this.#pending += bytes
  }

  /** An attempt of so many bytes ended; `kept` says whether they are in the store now. */
  end(bytes: number, kept: boolean): void {
    this.#pending -= bytes
    if (kept && this.#stored !== null) this.#stored += bytes
  }

  forget(): void {
    this.#stored = null
  }
}
