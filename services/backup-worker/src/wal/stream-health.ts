import type { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { WalProgress } from '@salvor/shared/ports/wal'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { WalFile } from '@salvor/shared/vocabulary/wal'

/** A server that restarts, or a store that stumbles, wakes nobody. */
const TOLD_AFTER_MS = 120_000
const SAID_EVERY_MS = 5_000
const CAUSE = { service: 'backup-worker' } as const

/** What is told of a stream: to the catalog every few seconds, to people when it has not worked for a while, and when it does again. */
export class StreamHealth {
  readonly #deps: Deps
  readonly #source: string
  #badSince: number | null = null
  #told: string | null = null
  /** It is known that no incident is open that this stream could end. */
  #settled = false
  #saidAt = Number.NEGATIVE_INFINITY
  #saying = false
  #coveredUntil: Instant | null = null

  constructor(deps: Deps, source: string) {
    this.#deps = deps
    this.#source = source
  }

  /** The stream ended by this error. Never rejects. */
  async failed(error: SalvorError): Promise<void> {
    const { log } = this.#deps
    log.warn({ source: this.#source, error }, 'WAL is not streamed')
    try {
      await this.#bad(error)
    } catch (cause) {
      // A catalog that is away: it is told once that is back, by the next try.
      log.warn({ source: this.#source, error: cause }, 'that the WAL is not streamed could not be told')
    }
  }

  stored({ last_commit_at }: WalFile): void {
    if (last_commit_at !== null) this.#covered(last_commit_at)
  }

  #covered(until: Instant): void {
    if (this.#coveredUntil === null || until > this.#coveredUntil) this.#coveredUntil = until
  }

  progress(progress: WalProgress): void {
    if (progress.current_at !== null) this.#covered(progress.current_at)
    const now = this.#deps.clock.monotonicMs()
    if (this.#saying || now - this.#saidAt < SAID_EVERY_MS) return
    this.#saidAt = now
    this.#saying = true
    void this.#say(progress).finally(() => (this.#saying = false))
  }

  /** Never rejects: what it says is said again in a few seconds. */
  async #say({ system_id, timeline, received_lsn, stored_lsn, server_lsn, spool_bytes, trouble }: WalProgress) {
    const { catalog, log } = this.#deps
    const positions = { system_id, timeline, received_lsn, stored_lsn, server_lsn, spool_bytes }
    const words = { trouble: trouble?.message ?? null, covered_until: this.#coveredUntil }
    try {
      await catalog.transaction(CAUSE, (tx) => tx.recordWalStream({ source: this.#source, ...positions, ...words }))
      await (trouble === null ? this.#good() : this.#bad(trouble))
    } catch (error) {
      log.debug({ source: this.#source, error }, 'the state of the stream was not recorded')
    }
  }

  async #good(): Promise<void> {
    this.#badSince = null
    if (this.#settled) return
    const wasTold = this.#told !== null || (await this.#isOpen())
    if (!wasTold) {
      this.#settled = true
      return
    }
    const data = { source: this.#source }
    await this.#deps.catalog.transaction(CAUSE, async (tx) => {
      await tx.publish({ type: 'wal-stream.recovered', subject: this.#source, data })
    })
    this.#told = null
    this.#settled = true
  }

  /** Told at once where only a person can help, else once it has lasted; and once. */
  async #bad(error: SalvorError): Promise<void> {
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
      await tx.publish({ type: 'wal-stream.failed', subject: this.#source, data })
    })
    this.#told = error.code
  }

  async #isOpen(): Promise<boolean> {
    return (await this.#deps.catalog.openIncidents()).some(({ key }) => key === `${this.#source}/wal`)
  }
}
