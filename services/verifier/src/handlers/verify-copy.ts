import { manifestKeyOf } from '@salvor/repository/layout'
import type { JobHandler } from '@salvor/shared/ports/service'
import { look } from '../look.ts'
import { judge } from '../judge.ts'

/** Looks at one copy as hard as it was asked to and records what it found. A bad copy is never moved or deleted. */
export const verifyCopy: JobHandler<'verify-copy'> = {
  async handle(run, deps, signal, progress) {
    const { backup_id, store, level } = run.params
    const backup = await deps.catalog.backup(backup_id)
    const started_at = deps.clock.now()
    const began = deps.clock.monotonicMs()
    const copy = { store, manifest_key: manifestKeyOf(backup), manifest_sha256: backup.manifest_sha256 }
    const seen = await look(deps.tasks, backup.source, copy, level, progress, signal)
    const duration_ms = Math.round(deps.clock.monotonicMs() - began)
    const { verification, event } = judge(backup, store, level, seen, { id: deps.ids.next(), started_at, duration_ms })
    return {
      result: { ...verification, asked: level, unproven: seen.unproven, restore_ms: seen.restore_ms },
      commit: async (tx) => {
        await tx.recordVerification(verification)
        await tx.publish(event)
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
