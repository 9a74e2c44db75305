import { addressIn, chainAddresses } from '@salvor/runtime/chain-addresses'
import type { Deps, JobHandler } from '@salvor/shared/ports/service'
import type { CopyAddress } from '@salvor/shared/ports/tasks'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import type { VerificationLevel } from '@salvor/shared/vocabulary/verification'
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

/** The copy that is asked about as it is, however bad it is known to be; what it stands on from the best copies. */
async function chainFor(
  deps: Deps,
  backup: BackupWithCopies,
  store: string,
  level: VerificationLevel,
): Promise<readonly CopyAddress[]> {
  if (level !== 'restore' || backup.parent === null) return [addressIn(backup, store)]
  const below = await deps.catalog.chain(backup.parent)
  return [...chainAddresses(below, null), addressIn(backup, store)]
}
