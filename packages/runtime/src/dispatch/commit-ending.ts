import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import { JOB_RULES, type JobName } from '@salvor/shared/messages/jobs'
import type { Cause } from '@salvor/shared/ports/catalog'
import type { Deps } from '@salvor/shared/ports/service'
import type { Run } from '@salvor/shared/vocabulary/run'
import { pause } from '../lease.ts'
import type { Ending } from './attempt.ts'
import type { DispatchContext } from './context.ts'

const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 5000
const never = new AbortController().signal

/**
 * Writes the end of an attempt and what its handler leaves in one transaction. While the catalog is away it is tried
 * again: the work was done, and the fencing token guards against a late write. LEASE_LOST when it was replaced.
 */
export async function commitEnding(run: Run, ending: Ending, context: DispatchContext, deps: Deps): Promise<void> {
  const service = (JOB_RULES[run.job as JobName] as (typeof JOB_RULES)[JobName] | undefined)?.service ?? 'cli'
  const cause: Cause = { service, correlation_id: run.correlation_id, causation_id: run.id }
  const began = performance.now()
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      return await deps.catalog.transaction(cause, async (tx) => {
        await tx.endRun(run.id, run.attempt, ending.end)
        await ending.commit?.(tx)
      })
    } catch (thrown) {
      const { code } = asSalvorError(thrown)
      const away = code === 'CATALOG_UNREACHABLE' || code === 'CATALOG_FULL'
      if (!away || performance.now() - began > context.patienceMs) throw thrown
      await pause(wait, never)
    }
  }
}
