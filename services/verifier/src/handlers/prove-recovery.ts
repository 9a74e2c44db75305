import { bestCopies } from '@salvor/policy/copies'
import { recoveryWithin } from '@salvor/policy/recovery-proof'
import { gatherRecoveryFacts } from '@salvor/runtime/recovery-facts'
import type { JobHandler } from '@salvor/shared/ports/service'
import { chanceOf } from '../chance-of.ts'
import { recovered } from '../prove-recovery.ts'
import { recoveryCheck } from '../recovery-check.ts'

/**
 * Recovers a source in the sandbox to an instant of the last day, as a person would after a mistake, and records what came back. Nothing is recorded where it
 * could not be tried.
 */
export const proveRecovery: JobHandler<'prove-recovery'> = {
  async handle(run, deps, signal, progress) {
    const { source } = run.params
    if (!deps.settings().sources.has(source)) return { result: { nothing: 'the source is not in the configuration' } }
    const facts = await gatherRecoveryFacts(deps, source, null, signal)
    const plan = recoveryWithin(facts, source, chanceOf(run.id))
    if (!plan) return { result: { nothing: 'no WAL is stored behind a backup' } }
    const target_at = plan.recovers_to
    const { id: backup_id, copies } = await deps.catalog.backup(plan.backup_id)
    const about = { source, backup_id, store: bestCopies(copies)[0]?.store ?? '' }
    const recovery = { name: `recovery to ${target_at}`, about, base_id: backup_id, target_at, timeline: plan.timeline }
    const { proof, events, untried } = await recoveryCheck(deps, recovery, signal, () =>
      recovered(deps, source, { plan, facts }, progress, signal),
    )
    if (untried?.retryable) throw untried
    if (!proof) return { result: { untried: `${untried?.message}; ${untried?.hint}` } }
    const { ok, recovered_to, lsn, timeline, duration_ms } = proof
    return {
      result: proof,
      commit: async (tx) => {
        await tx.recordRecoveryProof(proof)
        const data = { source, backup_id, target_at, recovered_to, lsn, timeline, duration_ms }
        if (ok) await tx.publish({ type: 'recovery.proven', subject: backup_id, data })
        for (const event of events) await tx.publish(event)
        const outcome = ok ? 'good' : 'bad'
        await tx.audit({ actor: 'verifier', action: 'verify.recovery', object: source, outcome })
      },
    }
  },
  failed(run, error, final, deps) {
    const { source } = run.params
    deps.log.warn({ run_id: run.id, source, code: error.code, final }, 'a recovery could not be proven')
    return async () => undefined
  },
}
