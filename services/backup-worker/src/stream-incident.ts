import type { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'

/** A server that restarts, or a store that stumbles, wakes nobody. */
const TOLD_AFTER_MS = 120_000
const CAUSE = { service: 'backup-worker' } as const

/** The words in which a kind of stream tells of its trouble. */
export interface StreamWords {
  readonly failed: 'wal-stream.failed' | 'change-stream.failed'
  readonly recovered: 'wal-stream.recovered' | 'change-stream.recovered'
  /** Of the incident's key, behind the source. */
  readonly condition: 'wal' | 'changes'
}

/** Tells people when a stream has not worked for a while, and when it does again; each once. */
export class StreamIncident {
  readonly #deps: Deps
  readonly #source: string
  readonly #words: StreamWords
  #badSince: number | null = null
  #told: string | null = null
  /** It is known that no incident is open that this stream could end. */
  #settled = false

  constructor(deps: Deps, source: string, words: StreamWords) {
    this.#deps = deps
    this.#source = source
    this.#words = words
  }

  async good(): Promise<void> {
    this.#badSince = null
    if (this.#settled) return
    const wasTold = this.#told !== null || (await this.#isOpen())
    if (!wasTold) {
      this.#settled = true
      return
    }
    const data = { source: this.#source }
    await this.#deps.catalog.transaction(CAUSE, async (tx) => {
      await tx.publish({ type: this.#words.recovered, subject: this.#source, data })
    })
    this.#told = null
    this.#settled = true
  }

  /** Told at once where only a person can help, else once it has lasted; and once. */
  async bad(error: SalvorError): Promise<void> {
    const now = this.#deps.clock.monotonicMs()
    this.#badSince ??= now
    this.#settled = false
    if (error.retryable && now - this.#badSince < TOLD_AFTER_MS) return
    // By its code: texts carry positions that move.
    if (this.#told === error.code) return
    // Told by the worker before this one, or before its restart.
    if (this.#told === null && (await this.#isOpen())) {
      this.#told = error.code
      return
    }
    const data = { source: this.#source, error: error.toFailure() }
    await this.#deps.catalog.transaction(CAUSE, async (tx) => {
      await tx.publish({ type: this.#words.failed, subject: this.#source, data })
    })
    this.#told = error.code
  }

  async #isOpen(): Promise<boolean> {
    return (await this.#deps.catalog.openIncidents()).some(
      ({ key }) => key === `${this.#source}/${this.#words.condition}`,
    )
  }
}
