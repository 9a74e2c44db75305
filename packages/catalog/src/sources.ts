import type { ScheduleRow, SourceRow } from '@salvor/shared/ports/catalog'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { Kysely } from 'kysely'
import type { CatalogDialect } from './dialect.ts'
import type { Scope } from './scope.ts'
import type { Tables } from './tables.ts'
import { pagesOf } from './values.ts'

type NewSource = Omit<SourceRow, 'state' | 'registered_at'>

/** Two processes that register one new source at once: the first is told `new`, the second sees its row. */
export async function registerSource(scope: Scope, source: NewSource): Promise<'new' | 'changed' | 'same'> {
  const { db, now } = scope
  const { name, engine, pool, config_hash } = source
  const made = await db
    .insertInto('sources')
    .values({ name, engine, pool, config_hash, state: 'active', registered_at: now })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returning('name')
    .executeTakeFirst()
  if (made) return 'new'
  const present = await db
    .selectFrom('sources')
    .selectAll()
    .where('name', '=', name)
    .$if(scope.rowLocks, (query) => query.forUpdate())
    .executeTakeFirstOrThrow()
  const back = present.state === 'retired'
  const same = present.engine === engine && present.pool === pool && present.config_hash === config_hash
  if (same && !back) return 'same'
  await db
    .updateTable('sources')
    .set({ engine, pool, config_hash, state: 'active', registered_at: back ? now : present.registered_at })
    .where('name', '=', name)
    .execute()
  return back ? 'new' : 'changed'
}

export async function retireSourcesExcept(scope: Scope, names: readonly string[]): Promise<readonly string[]> {
  const { db } = scope
  const active = await db.selectFrom('sources').select('name').where('state', '=', 'active').orderBy('name').execute()
  const kept = new Set(names)
  const gone = active.map((row) => row.name).filter((name) => !kept.has(name))
  const retired: string[] = []
  for (const page of pagesOf(gone, 1000)) {
    const rows = await db
      .updateTable('sources')
      .set({ state: 'retired' })
      .where('name', 'in', page)
      .where('state', '=', 'active')
      .returning('name')
      .execute()
    retired.push(...rows.map((row) => row.name))
    await db.deleteFrom('schedules').where('source', 'in', page).execute()
  }
  return retired.sort()
}

export async function setSchedules(
  scope: Scope,
  source: string,
  schedules: readonly Omit<ScheduleRow, 'id' | 'source'>[],
): Promise<void> {
  const { db } = scope
  const rows = schedules
    .map(({ kind, cron, timezone, due_at }) => ({ id: `${source}/${kind}`, source, kind, cron, timezone, due_at }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  const ids = rows.map((row) => row.id)
  await db
    .deleteFrom('schedules')
    .where('source', '=', source)
    .$if(ids.length > 0, (query) => query.where('id', 'not in', ids))
    .execute()
  for (const row of rows) {
    await db
      .insertInto('schedules')
      .values(row)
      .onConflict((conflict) =>
        conflict
          .column('id')
          .doUpdateSet({ cron: row.cron, timezone: row.timezone, due_at: row.due_at })
          .where((where) =>
            where.or([where('schedules.cron', '<>', row.cron), where('schedules.timezone', '<>', row.timezone)]),
          ),
      )
      .execute()
  }
}

export async function advanceSchedule(scope: Scope, id: string, from: Instant, to: Instant): Promise<boolean> {
  const { numUpdatedRows } = await scope.db
    .updateTable('schedules')
    .set({ due_at: to })
    .where('id', '=', id)
    .where('due_at', '=', from)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export function allSources(db: Kysely<Tables>): Promise<readonly SourceRow[]> {
  return db.selectFrom('sources').selectAll().orderBy('name').execute()
}

export async function allSchedules(db: Kysely<Tables>): Promise<readonly ScheduleRow[]> {
  const rows = await db.selectFrom('schedules').selectAll().orderBy('id').execute()
  return rows as readonly ScheduleRow[]
}

/** Those whose time has come, the longest overdue first. */
export async function dueSchedules(dialect: CatalogDialect, limit: number): Promise<readonly ScheduleRow[]> {
  const rows = await dialect.reads
    .selectFrom('schedules')
    .selectAll()
    .where('due_at', '<=', dialect.clock)
    .orderBy('due_at')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows as readonly ScheduleRow[]
}
