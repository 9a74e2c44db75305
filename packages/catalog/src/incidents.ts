import type { IncidentRow } from '@salvor/shared/ports/catalog'
import type { Kysely } from 'kysely'
import type { Scope } from './scope.ts'
import type { Tables } from './tables.ts'
import { plain } from './values.ts'

/** One open incident per key: who comes second, even at the same moment, is told that it was open. */
export async function openIncident(scope: Scope, key: string, source: string | null, title: string): Promise<boolean> {
  const made = await scope.db
    .insertInto('incidents')
    .values({ id: scope.ids.next(), key, source, title: plain(title), opened_at: scope.now, resolved_at: null })
    .onConflict((conflict) => conflict.column('key').where('resolved_at', 'is', null).doNothing())
    .returning('id')
    .executeTakeFirst()
  return made !== undefined
}

export async function resolveIncident(scope: Scope, key: string): Promise<boolean> {
  const { numUpdatedRows } = await scope.db
    .updateTable('incidents')
    .set({ resolved_at: scope.now })
    .where('key', '=', key)
    .where('resolved_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export function openIncidents(db: Kysely<Tables>): Promise<readonly IncidentRow[]> {
  return db
    .selectFrom('incidents')
    .select(['key', 'source', 'opened_at', 'resolved_at', 'title'])
    .where('resolved_at', 'is', null)
    .orderBy('opened_at')
    .orderBy('id')
    .execute()
}
