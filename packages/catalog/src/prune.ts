import { epochMicros, shifted, type Instant } from '@salvor/shared/vocabulary/instant'
import type { Scope } from './scope.ts'

/** Ids begin with the clock of the process that made them, which may be this far from the catalog's. */
const CLOCKS_APART_MS = 24 * 3600_000

/**
 * Removes what is over and older than `keptMs`: events that every listener has handled, then runs that ended well or were
 * given up by their job's own word. What waits for a person (dead) stays, and so does an event on which a living run rests.
 *
 * A run goes only after the event that planned it: while the event can come again, the run's unique key says that it has.
 */
export async function prune(
  scope: Scope,
  keptMs: number,
  limit: number,
): Promise<{ readonly events: number; readonly runs: number }> {
  const before = shifted(scope.now, -keptMs)
  return { events: await pruneEvents(scope, before, limit), runs: await pruneRuns(scope, before, limit) }
}

async function pruneEvents({ db, rowLocks }: Scope, before: Instant, limit: number): Promise<number> {
  const living = db
    .selectFrom('runs')
    .select('causation_id')
    .where('state', 'in', ['queued', 'running', 'dead'])
    .where('causation_id', 'is not', null)
  const rows = await db
    .selectFrom('outbox')
    .select('id')
    .where('id', '<', firstIdAt(before))
    .where('time', '<', before)
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('inbox')
            .select('service')
            .whereRef('event_id', '=', 'outbox.id')
            .where('handled_at', 'is', null),
        ),
      ),
    )
    .where('id', 'not in', living)
    .orderBy('id')
    .limit(limit)
    .$if(rowLocks, (query) => query.forUpdate().skipLocked())
    .execute()
  if (rows.length === 0) return 0
  const ids = rows.map(({ id }) => id)
  await db.deleteFrom('inbox').where('event_id', 'in', ids).execute()
  await db.deleteFrom('outbox').where('id', 'in', ids).execute()
  return ids.length
}

async function pruneRuns({ db, rowLocks }: Scope, before: Instant, limit: number): Promise<number> {
  const rows = await db
    .selectFrom('runs')
    .select('id')
    .where('id', '<', firstIdAt(before))
    .where('state', 'in', ['succeeded', 'failed'])
    .where('finished_at', '<', before)
    .where((where) =>
      where.not(
        where.exists(where.selectFrom('outbox').select('outbox.id').whereRef('outbox.id', '=', 'runs.causation_id')),
      ),
    )
    .orderBy('id')
    .limit(limit)
    .$if(rowLocks, (query) => query.forUpdate().skipLocked())
    .execute()
  if (rows.length === 0) return 0
  await db
    .deleteFrom('runs')
    .where(
      'id',
      'in',
      rows.map(({ id }) => id),
    )
    .execute()
  return rows.length
}

/** Rows are found by the order of their ids (uuidv7), so a look at a catalog without old rows reads none of the young. */
function firstIdAt(before: Instant): string {
  const ms = epochMicros(shifted(before, CLOCKS_APART_MS)) / 1000n
  const hex = ms.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}`
}
