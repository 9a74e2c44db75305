import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { sql } from 'kysely'
import { holderOf, nameOf } from './run-rows.ts'
import { requeued } from './runs.ts'
import type { Scope } from './scope.ts'
import type { RunTable } from './tables.ts'
import { toJson } from './values.ts'

type Running = Pick<RunTable, 'id' | 'job' | 'attempt' | 'failures' | 'lease_holder' | 'lease_until'>

/**
 * Gives back to the queue what has lost its process or its message. A run that another transaction is just now ending is
 * left to it.
 */
export async function reconcile(scope: Scope, staleMs: number): Promise<{ requeued: number; resent: number }> {
  const running = await scope.db
    .selectFrom('runs')
    .select(['id', 'job', 'attempt', 'failures', 'lease_holder', 'lease_until'])
    .where('state', '=', 'running')
    .orderBy('id')
    .$if(scope.rowLocks, (query) => query.forUpdate().skipLocked())
    .execute()
  const lost = running.filter((run) => isLost(scope, run))
  for (const run of lost) await takeBack(scope, run)
  return { requeued: lost.length, resent: await resend(scope, staleMs) }
}

function isLost({ now, holderAlive }: Scope, { lease_holder, lease_until }: Running): boolean {
  if (lease_holder === null || lease_until === null || lease_until <= now) return true
  return holderAlive(holderOf(lease_holder)) === false
}

/** Also after the last failure that its job allows: whoever claims it next buries it, and tells people by the job's own words. */
async function takeBack(scope: Scope, run: Running): Promise<void> {
  const who = run.lease_holder === null ? 'nobody' : nameOf(holderOf(run.lease_holder))
  const error = new SalvorError('TASK_DIED', { task: run.job, how: `an unknown cause: ${who} has disappeared` })
  await scope.db
    .updateTable('runs')
    .set({
      ...requeued(scope.now),
      failures: run.failures + 1,
      error: toJson(error.toFailure()),
    })
    .where('id', '=', run.id)
    .where('attempt', '=', run.attempt)
    .where('state', '=', 'running')
    .execute()
}

/** Its message went into the queue, it is due, and nobody took it: the queue has lost it. */
async function resend(scope: Scope, staleMs: number): Promise<number> {
  const before = shifted(scope.now, -staleMs)
  const { numUpdatedRows } = await scope.db
    .updateTable('runs')
    .set({ turn: sql<number>`turn + 1` })
    .where('state', '=', 'queued')
    .whereRef('sent_turn', '=', 'turn')
    .where('sent_at', '<', before)
    .where('not_before', '<', before)
    .executeTakeFirst()
  return Number(numUpdatedRows)
}
