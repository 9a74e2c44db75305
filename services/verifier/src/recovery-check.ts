import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { NewEvent } from '@salvor/shared/messages/events'
import type { Deps } from '@salvor/shared/ports/service'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { RecoveryReached } from '@salvor/shared/vocabulary/recovery'
import type { Check, RecoveryProof } from '@salvor/shared/vocabulary/verification'
import type { About } from './beside.ts'
import { BAD_BYTES } from './look.ts'

/** What says that what is stored does not come back. */
const FINDINGS: ReadonlySet<string> = new Set([...BAD_BYTES, 'RECOVERY_FAILED'])

export interface Attempt {
  readonly checks: readonly Check[]
  /** By what it came back. */
  readonly way: string
  readonly reached: RecoveryReached | null
}

/** `proof` null: it could not be tried, which says nothing about what is stored; `untried` is why. */
export interface Recovered {
  readonly check: Check
  readonly events: readonly NewEvent[]
  readonly proof: RecoveryProof | null
  readonly untried: SalvorError | null
}

/** Where a recovery begins, and where it is to end. `about`: who is told of if it fails. */
export interface Recovery {
  readonly name: string
  readonly about: About
  readonly base_id: string
  readonly target_at: Instant
  /** Of PostgreSQL, along which it goes. */
  readonly timeline: number | null
}

/** A recovery in the sandbox as one check, its evidence, and what there is to be told. */
export async function recoveryCheck(
  deps: Deps,
  { name, about, base_id, target_at, timeline }: Recovery,
  signal: AbortSignal,
  recover: () => Promise<Attempt>,
): Promise<Recovered> {
  const { source, backup_id, store } = about
  const started_at = deps.clock.now()
  const began = deps.clock.monotonicMs()
  const ended = (ok: boolean, detail: string, reached: RecoveryReached | null = null) => {
    const duration_ms = Math.round(deps.clock.monotonicMs() - began)
    const { last_commit_at: recovered_to = null, lsn = null } = reached ?? {}
    const about_it = { id: deps.ids.next(), source, backup_id: base_id, target_at, recovered_to, lsn, timeline }
    return { check: { name, ok, detail, duration_ms }, proof: { ...about_it, ok, detail, started_at, duration_ms } }
  }
  const failed = (reason: string): Recovered => {
    const error = new SalvorError('RECOVERY_NOT_PROVEN', { source, to: target_at, reason }).toFailure()
    const data = { source, backup_id, store, what: 'verify', failures: 1, final: true, error } as const
    return { ...ended(false, reason), events: [{ type: 'copy.failed', subject: backup_id, data }], untried: null }
  }
  try {
    const { checks, way, reached } = await recover()
    const bad = checks.filter(({ ok }) => !ok).map((check) => `${check.name}: ${check.detail}`)
    if (bad.length > 0) return failed(`${way}: ${bad.join('; ')}`)
    return { ...ended(true, way, reached), events: [], untried: null }
  } catch (thrown) {
    signal.throwIfAborted()
    const error = asSalvorError(thrown)
    if (FINDINGS.has(error.code)) return failed(error.message)
    // It says nothing about what is stored: no program, no room, a store that does not answer.
    deps.log.warn({ source, backup_id, code: error.code }, 'a recovery could not be tried')
    return { ...ended(true, `not tried: ${error.message}`), proof: null, events: [], untried: error }
  }
}
