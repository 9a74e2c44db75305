import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { Check } from '@salvor/shared/vocabulary/verification'
import type { About, Beside } from './beside.ts'
import { BAD_BYTES } from './look.ts'

const NAME = 'recovery to the latest instant'
/** What says that what is stored does not come back. */
const FINDINGS: ReadonlySet<string> = new Set([...BAD_BYTES, 'RECOVERY_FAILED'])

/** A recovery in the sandbox as one check, and what there is to be told. One that could not be tried says nothing. */
export async function recoveryCheck(
  deps: Deps,
  { source, backup_id, store }: About,
  to: string,
  signal: AbortSignal,
  recover: () => Promise<{ readonly checks: readonly Check[]; readonly way: string }>,
): Promise<Pick<Beside, 'checks' | 'events'>> {
  const began = deps.clock.monotonicMs()
  const check = (ok: boolean, detail: string): Check => {
    return { name: NAME, ok, detail, duration_ms: Math.round(deps.clock.monotonicMs() - began) }
  }
  const failed = (reason: string): Pick<Beside, 'checks' | 'events'> => {
    const error = new SalvorError('RECOVERY_NOT_PROVEN', { source, to, reason }).toFailure()
    const data = { source, backup_id, store, what: 'verify', failures: 1, final: true, error } as const
    return { checks: [check(false, reason)], events: [{ type: 'copy.failed', subject: backup_id, data }] }
  }
  try {
    const { checks, way } = await recover()
    const bad = checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`)
    return bad.length === 0 ? { checks: [check(true, way)], events: [] } : failed(`${way}: ${bad.join('; ')}`)
  } catch (thrown) {
    signal.throwIfAborted()
    const error = asSalvorError(thrown)
    if (FINDINGS.has(error.code)) return failed(error.message)
    // It says nothing about what is stored: no program, no room, a store that does not answer.
    deps.log.warn({ source, backup_id, code: error.code }, 'a recovery could not be tried')
    return { checks: [check(true, `not tried: ${error.message}`)], events: [] }
  }
}
