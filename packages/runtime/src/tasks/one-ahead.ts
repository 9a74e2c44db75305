/**
 * Opens the neighbour of what was taken last while that is worked on: the next one, or the one before for whoever began at the end. Disposing
 * closes what was opened and not taken.
 */
export class OneAhead<T extends AsyncDisposable> implements AsyncDisposable {
  readonly #openers: readonly (() => Promise<T>)[]
  #ahead: { readonly n: number; readonly opening: Promise<T> } | null = null
  #last: number | null = null

  constructor(openers: readonly (() => Promise<T>)[]) {
    this.#openers = openers
  }

  /** What the caller closes. Rejects as its opener does. */
  async take(n: number): Promise<T> {
    const ahead = this.#ahead
    this.#ahead = null
    if (ahead !== null && ahead.n !== n) await closed(ahead.opening)
    const taken = ahead?.n === n ? ahead.opening : this.#openers[n]!()
    const step = this.#last === null ? (n === 0 ? 1 : -1) : n - this.#last
    this.#last = n
    const one = await taken
    const next = this.#openers[n + step]
    if (next !== undefined && Math.abs(step) === 1) {
      const opening = next()
      opening.catch(() => undefined)
      this.#ahead = { n: n + step, opening }
    }
    return one
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ahead !== null) await closed(this.#ahead.opening)
  }
}

async function closed(opening: Promise<AsyncDisposable>): Promise<void> {
  const one = await opening.catch(() => null)
  await one?.[Symbol.asyncDispose]()
}
