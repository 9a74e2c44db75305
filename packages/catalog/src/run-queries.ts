import type { JobName } from '@salvor/shared/messages/jobs'
import type { Catalog, RunFilter } from '@salvor/shared/ports/catalog'
import type { Run } from '@salvor/shared/vocabulary/run'
import type { Kysely } from 'kysely'
import type { CatalogDialect } from './dialect.ts'
import { runOf } from './run-rows.ts'
import type { Scope } from './scope.ts'
import type { Tables } from './tables.ts'
import { pagesOf } from './values.ts'

type DueFilter = Parameters<Catalog['dueRuns']>[0]
type Unsent = Awaited<ReturnType<Catalog['unsentRuns']>>

export async function findRun(db: Kysely<Tables>, id: string): Promise<Run | null> {
  const row = await db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst()
  return row ? runOf(row) : null
}

/** Newest first. An empty list of states or jobs matches nothing. */
export async function findRuns(db: Kysely<Tables>, filter: RunFilter): Promise<readonly Run[]> {
  const { states, jobs, source, correlation_id, limit } = filter
  if (states?.length === 0 || jobs?.length === 0) return []
  let query = db.selectFrom('runs').selectAll().orderBy('id', 'desc')
  if (states) query = query.where('state', 'in', states)
  if (jobs) query = query.where('job', 'in', jobs)
  if (source !== undefined) query = query.where('source', '=', source)
  if (correlation_id !== undefined) query = query.where('correlation_id', '=', correlation_id)
  if (limit !== undefined) query = query.limit(limit)
  return (await query.execute()).map(runOf)
}

export async function dueRuns(dialect: CatalogDialect, filter: DueFilter): Promise<readonly string[]> {
  const { jobs, correlation_id, limit } = filter
  if (jobs.length === 0 || filter.pools.length === 0) return []
  const pools = filter.pools.filter((pool) => pool !== null)
  let query = dialect.reads
    .selectFrom('runs')
    .select('id')
    .where('state', '=', 'queued')
    .where('job', 'in', jobs)
    .where('not_before', '<=', dialect.clock)
    .where((where) =>
      where.or([
        ...(pools.length < filter.pools.length ? [where('pool', 'is', null)] : []),
        ...(pools.length > 0 ? [where('pool', 'in', pools)] : []),
      ]),
    )
  if (correlation_id !== undefined) query = query.where('correlation_id', '=', correlation_id)
  const rows = await query.orderBy('not_before').orderBy('id').limit(limit).execute()
  return rows.map((row) => row.id)
}

/** A full select, never a cursor: a run that commits late is found the next time. */
export async function unsentRuns(db: Kysely<Tables>, jobs: readonly JobName[], limit: number): Promise<Unsent> {
  if (jobs.length === 0) return []
  const rows = await db
    .selectFrom('runs')
    .select(['id', 'job', 'pool', 'turn', 'not_before'])
    .where('state', '=', 'queued')
    .whereRef('sent_turn', '<', 'turn')
    .where('job', 'in', jobs)
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows as Unsent
}

/** A turn that is no longer the present one was sent in vain: the run stays unsent. */
export async function markRunsSent(
  scope: Scope,
  turns: readonly { readonly id: string; readonly turn: number }[],
): Promise<void> {
  const byTurn = Map.groupBy(turns, ({ turn }) => turn)
  for (const [turn, sent] of byTurn) {
    const ids = sent.map(({ id }) => id).sort()
    for (const page of pagesOf(ids, 1000)) {
      await scope.db
        .updateTable('runs')
        .set({ sent_turn: turn, sent_at: scope.now })
        .where('id', 'in', page)
        .where('sent_turn', '<', turn)
        .execute()
    }
  }
}
