import { setTimeout as pause } from 'node:timers/promises'
import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ChangeSink } from '@salvor/shared/ports/changes'
import type { ChangePiece } from '@salvor/shared/vocabulary/change-set'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { PendingSet } from './pending-set.ts'

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000

/** Brings one set at a time into the sink, again and again where that may help: what comes meanwhile waits in the next one. */
export class SetStorer implements AsyncDisposable {
  readonly #sink: ChangeSink
  readonly #signal: AbortSignal
  readonly #failed = Promise.withResolvers<never>()
  #work: Promise<void> | null = null
  storedTo: Instant | null = null
  /** Why the present set is not stored yet; null: nothing went wrong. */
  trouble: SalvorError | null = null

  constructor(sink: ChangeSink, signal: AbortSignal) {
    this.#sink = sink
    this.#signal = signal
    this.#failed.promise.catch(() => undefined)
  }

  /** Rejects with what no repetition helps against; never resolves. */
  get failed(): Promise<never> {
    return this.#failed.promise
  }

  get isBusy(): boolean {
    return this.#work !== null
  }

  continueFrom(at: Instant): void {
    this.storedTo = at
  }

  /** The set is this one's from now on. */
  store(set: PendingSet, piece: Omit<ChangePiece, 'previous'>): void {
    this.#work = this.#store(set, piece)
      .catch((error: unknown) => this.#failed.reject(error))
      .finally(() => (this.#work = null))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work
  }

  async #store(set: PendingSet, piece: Omit<ChangePiece, 'previous'>): Promise<void> {
    await using mine = set
    const work = () => this.#sink.store(piece, () => mine.content())
    if (!(await untilStored(work, this.#signal, (error) => (this.trouble = error)))) return
    this.storedTo = piece.to_at
    this.trouble = null
  }
}

/** Tries again, ever later, where that may help. False: the signal aborted before it was done. */
export async function untilStored(
  work: () => Promise<void>,
  signal: AbortSignal,
  onTrouble: (error: SalvorError) => void,
): Promise<boolean> {
  for (let wait = FIRST_PAUSE_MS; !signal.aborted; wait = Math.min(2 * wait, LONGEST_PAUSE_MS)) {
    try {
      await work()
      return true
    } catch (thrown) {
      const error = asSalvorError(thrown)
      if (!error.retryable) throw error
      onTrouble(error)
    }
    await pause(wait, undefined, { signal }).catch(() => undefined)
  }
  return false
}
