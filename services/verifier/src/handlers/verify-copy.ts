import type { JobHandler } from '@salvor/shared/ports/service'
import { lookBeside } from '../beside.ts'
import { chainFor } from '../chain-for.ts'
import { look } from '../look.ts'
import { judge } from '../judge.ts'

/** Looks at one copy as hard as it was asked to and records what it found. A bad copy is never moved or deleted. */
export const verifyCopy: JobHandler<'verify-copy'> = {
  async handle(run, deps, signal, progress) {
    const { backup_id, store, level } = run.params
    const backup = await deps.catalog.backup(backup_id)
    const started_at = deps.clock.now()
    const began = deps.clock.monotonicMs()
    const chain = await chainFor(deps, backup, store, level)
    const seen = await look(deps.tasks, backup.source, chain, level, progress, signal)
    const duration_ms = Math.round(deps.clock.monotonicMs() - began)
    const looked = { id: deps.ids.next(), started_at, duration_ms }
    const { verification: own, event } = judge(backup, store, level, seen, looked)
    const about = { source: backup.source, backup_id, store }
    const beside = event.type === 'copy.verified' ? await lookBeside(deps, about, own.level, progress, signal) : null
    const verification = { ...own, checks: [...own.checks, ...(beside?.checks ?? [])] }
    return {
      result: { ...verification, asked: level, unproven: seen.unproven, restore_ms: seen.restore_ms },
      commit: async (tx) => {
        await tx.recordVerification(verification)
        // What ends with a good look must not end by this one.
        for (const told of beside?.events.length ? beside.events : [event]) await tx.publish(told)
        await beside?.commit(tx)
        await tx.audit({
          actor: 'verifier',
          action: `verify.${level}`,
          object: backup_id,
          outcome: verification.ok ? 'good' : 'bad',
        })
      },
    }
  },
  failed(run, error, final, deps) {
    return async (tx) => {
      const source = run.source ?? ''
      const { backup_id, store } = run.params
      const failures = run.failures + 1
      deps.log.warn({ run_id: run.id, backup_id, store, code: error.code, final }, 'a copy could not be looked at')
      await tx.publish({
        type: 'copy.failed',
        subject: backup_id,
        data: { source, backup_id, store, what: 'verify', failures, final, error },
      })
    }
  },
}
