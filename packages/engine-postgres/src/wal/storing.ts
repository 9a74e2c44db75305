import { setTimeout as sleep } from 'node:timers/promises'
import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'

/** One piece on its way; `end` is what is stored once it, and all before it, are. */
export interface Outgoing {
  readonly end: bigint
  store(): Promise<void>
  /** Once it, and all before it, are stored. */
  drop(): Promise<void>
}

const AT_ONCE = 3
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 15_000

/** Pieces that are stored side by side and acknowledged in order. What a repetition can help is repeated for ever; what it cannot ends the stream. */
export class Storing {
  /** Why nothing goes on; null: it does. */
  trouble: SalvorError | null = null
  readonly failed: Promise<never>
  readonly #waiting: Outgoing[] = []
  readonly #underWay: { readonly piece: Outgoing; done: boolean }[] = []
  readonly #signal: AbortSignal
  readonly #stored: (end: bigint) => void
  readonly #fail: (error: unknown) => void
  readonly #runs = new Set<Promise<void>>()
  /** Nothing is stored side by side before the first piece is: without it nobody could tell a hole from a beginning. */
  #begun = false

  constructor(signal: AbortSignal, stored: (end: bigint) => void) {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => undefined)
    this.failed = promise
    this.#fail = reject
    this.#signal = signal
    this.#stored = stored
  }

  get idle(): boolean {
    return this.#waiting.length === 0 && this.#underWay.length === 0
  }

  add(piece: Outgoing): void {
    this.#waiting.push(piece)
    if (this.#runs.size < (this.#begun ? AT_ONCE : 1)) this.#start()
  }

  /** Resolves when nothing is under way; nothing is begun any more once the signal has aborted. */
  async ended(): Promise<void> {
    await Promise.all(this.#runs)
  }

  #start(): void {
    const run = this.#run().finally(() => this.#runs.delete(run))
    this.#runs.add(run)
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      for (let piece; !this.#signal.aborted && (piece = this.#waiting.shift());) {
        const entry = { piece, done: false }
        this.#underWay.push(entry)
        await this.#store(piece)
        entry.done = true
        await this.#settle()
        if (!this.#begun) this.#begin()
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  async #settle(): Promise<void> {
    while (this.#underWay[0]?.done) {
      const { piece: stored } = this.#underWay.shift()!
      await stored.drop()
      this.#stored(stored.end)
    }
  }

  #begin(): void {
    this.#begun = true
    for (let more = Math.min(AT_ONCE - this.#runs.size, this.#waiting.length); more > 0; more--) this.#start()
  }

  async #store(piece: Outgoing): Promise<void> {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        await piece.store()
        this.trouble = null
        return
      } catch (thrown) {
        this.#signal.throwIfAborted()
        const error = asSalvorError(thrown)
        if (!error.retryable) throw error
        this.trouble = error
      }
      await sleep(pause, undefined, { signal: this.#signal })
    }
  }
}
