import type { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ChangeProgress } from '@salvor/shared/ports/changes'
import type { Deps } from '@salvor/shared/ports/service'
import { StreamIncident } from '../stream-incident.ts'

const SAID_EVERY_MS = 5_000
/** While nothing is stored and nothing is wrong: an idle database costs next to nothing. */
const SAID_IDLE_MS = 20_000
const CAUSE = { service: 'backup-worker' } as const
const WORDS = {
  failed: 'change-stream.failed',
  recovered: 'change-stream.recovered',
  condition: 'changes',
} as const

/** What is told of a change stream: to the catalog every few seconds, to people when it has not worked for a while, and when it does again. */
export class ChangeHealth {
  readonly #deps: Deps
  readonly #source: string
  readonly #incident: StreamIncident
  #saidAt = Number.NEGATIVE_INFINITY
  #saying = false
  #lastSet: string | null = null
  #saidSet: string | null = null

  constructor(deps: Deps, source: string) {
    this.#deps = deps
    this.#source = source
    this.#incident = new StreamIncident(deps, source, WORDS)
  }

  /** The document of the set that was stored last. */
  storedLast(document: string | null): void {
    this.#lastSet = document
  }

  /** The stream ended by this error. Never rejects. */
  async failed(error: SalvorError): Promise<void> {
    const { log } = this.#deps
    log.warn({ source: this.#source, error }, 'changes are not followed')
    try {
      await this.#incident.bad(error)
    } catch (cause) {
      // A catalog that is away: it is told once that is back, by the next try.
      log.warn({ source: this.#source, error: cause }, 'that changes are not followed could not be told')
    }
  }

  progress(progress: ChangeProgress): void {
    const now = this.#deps.clock.monotonicMs()
    const isIdle = progress.trouble === null && this.#lastSet === this.#saidSet
    if (this.#saying || now - this.#saidAt < (isIdle ? SAID_IDLE_MS : SAID_EVERY_MS)) return
    this.#saidAt = now
    this.#saidSet = this.#lastSet
    this.#saying = true
    void this.#say(progress, this.#lastSet).finally(() => (this.#saying = false))
  }

  /** Never rejects: what it says is said again in a few seconds. */
  async #say({ method, covered_until, log_bytes, trouble }: ChangeProgress, last_set: string | null): Promise<void> {
    const { catalog, log } = this.#deps
    const words = { trouble: trouble?.message ?? null, covered_until, last_set }
    const state = { source: this.#source, method, log_bytes, ...words }
    try {
      await catalog.transaction(CAUSE, (tx) => tx.recordChangeStream(state))
      await (trouble === null ? this.#incident.good() : this.#incident.bad(trouble))
    } catch (error) {
      log.debug({ source: this.#source, error }, 'the state of the stream was not recorded')
    }
  }
}
