import type { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { WalProgress } from '@salvor/shared/ports/wal'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { WalFile } from '@salvor/shared/vocabulary/wal'
import { StreamIncident } from '../stream-incident.ts'

const SAID_EVERY_MS = 5_000
const WORDS = { failed: 'wal-stream.failed', recovered: 'wal-stream.recovered', condition: 'wal' } as const
const CAUSE = { service: 'backup-worker' } as const

/** What is told of a stream: to the catalog every few seconds, to people when it has not worked for a while, and when it does again. */
export class StreamHealth {
  readonly #deps: Deps
  readonly #source: string
  readonly #incident: StreamIncident
  #saidAt = Number.NEGATIVE_INFINITY
  #saying = false
  #coveredUntil: Instant | null = null

  constructor(deps: Deps, source: string) {
    this.#deps = deps
    this.#source = source
    this.#incident = new StreamIncident(deps, source, WORDS)
  }

  /** The stream ended by this error. Never rejects. */
  async failed(error: SalvorError): Promise<void> {
    const { log } = this.#deps
    log.warn({ source: this.#source, error }, 'WAL is not streamed')
    try {
      await this.#incident.bad(error)
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
      await (trouble === null ? this.#incident.good() : this.#incident.bad(trouble))
    } catch (error) {
      log.debug({ source: this.#source, error }, 'the state of the stream was not recorded')
    }
  }
}
