import { recoveryToProve } from '@salvor/policy/recovery-proof'
import { chainAddresses } from '@salvor/runtime/chain-addresses'
import { recoveryInput, type GatheredFacts } from '@salvor/runtime/recovery-facts'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { BAD_BYTES } from './look.ts'
import type { Beside } from './look-at-wal.ts'

const NAME = 'recovery to the latest instant'

/**
 * Recovers the source in a sandbox to the latest instant that its stored WAL reaches, from the backup before this one: so each
 * stretch of WAL between two backups is replayed once. Null: there is no WAL to replay.
 */
export async function proveRecovery(
  deps: Deps,
  facts: GatheredFacts,
  { source, backup_id, store }: { readonly source: string; readonly backup_id: string; readonly store: string },
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<Pick<Beside, 'checks' | 'events'> | null> {
  const plan = recoveryToProve(facts, source, backup_id)
  if (!plan) return null
  const began = deps.clock.monotonicMs()
  const check = (ok: boolean, detail: string): Check => ({
    name: NAME,
    ok,
    detail,
    duration_ms: Math.round(deps.clock.monotonicMs() - began),
  })
  try {
    const chain = chainAddresses(await deps.catalog.chain(plan.backup_id), null)
    const recovery = recoveryInput(plan, facts, false)
    const { checks, reached } = await deps.tasks.run('prove', { source, chain, recovery }, progress, signal)
    const bad = checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`)
    const way = `${chain.at(-1)?.filename} and ${plan.pieces.length} pieces of WAL`
    const to = `to ${reached?.last_commit_at ?? plan.recovers_to} (${reached?.lsn ?? 'no position'})`
    if (bad.length === 0) return { checks: [check(true, `${way}, ${to}`)], events: [] }
    return failed(`${way}, ${to}: ${bad.join('; ')}`)
  } catch (thrown) {
    signal.throwIfAborted()
    const error = asSalvorError(thrown)
    if (error.code === 'RECOVERY_FAILED' || BAD_BYTES.has(error.code)) return failed(error.message)
    // It says nothing about the WAL: no program, no room, a store that does not answer.
    deps.log.warn({ source, backup_id, code: error.code }, 'a recovery could not be tried')
    return { checks: [check(true, `not tried: ${error.message}`)], events: [] }
  }
  function failed(reason: string): Pick<Beside, 'checks' | 'events'> {
    const error = new SalvorError('RECOVERY_NOT_PROVEN', { source, to: plan!.recovers_to, reason }).toFailure()
    const data = { source, backup_id, store, what: 'verify', failures: 1, final: true, error } as const
    return { checks: [check(false, reason)], events: [{ type: 'copy.failed', subject: backup_id, data }] }
  }
}
