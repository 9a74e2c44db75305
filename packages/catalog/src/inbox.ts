import type { Catalog } from '@salvor/shared/ports/catalog'
import { type Instant, shifted } from '@salvor/shared/vocabulary/instant'
import type { Failure } from '@salvor/shared/vocabulary/run'
import type { ServiceName } from '@salvor/shared/vocabulary/service'
import { sql } from 'kysely'
import type { Database } from './database.ts'
import { unhandled } from './outbox.ts'
import type { Scope } from './scope.ts'
import { toJson } from './values.ts'

type UndeliveredFilter = Parameters<Catalog['undelivered']>[1]

/**
 * Of two handlers of one event the second waits for the first, then learns that it came late. A service that began to
 * listen after the event was published has no row yet: it is made here.
 */
export async function acknowledge(scope: Scope, eventId: string, service: ServiceName): Promise<boolean> {
  const event = await scope.db
    .selectFrom('outbox')
    .select('correlation_id')
    .where('id', '=', eventId)
    .executeTakeFirst()
  if (!event) return false
  const marked = await scope.db
    .insertInto('inbox')
    .values({ ...unhandled(eventId, service, event.correlation_id, scope.now), handled_at: scope.now })
    .onConflict((conflict) =>
      conflict
        .columns(['event_id', 'service'])
        .doUpdateSet({ handled_at: scope.now, dead_at: null, error: null })
        .where('inbox.handled_at', 'is', null),
    )
    .returning('event_id')
    .executeTakeFirst()
  return marked !== undefined
}

export async function undelivered(
  database: Database,
  service: ServiceName,
  { correlation_id, olderThanMs, limit }: UndeliveredFilter,
): Promise<readonly string[]> {
  const before = olderThanMs === undefined ? database.dialect.clock : shifted(await database.now(), -olderThanMs)
  const rows = await database.reads
    .selectFrom('inbox')
    .select('event_id')
    .where('service', '=', service)
    .where('handled_at', 'is', null)
    .where('dead_at', 'is', null)
    .where('not_before', '<=', before)
    .$if(correlation_id !== undefined, (query) => query.where('correlation_id', '=', correlation_id!))
    .orderBy('not_before')
    .orderBy('event_id')
    .limit(limit)
    .execute()
  return rows.map((row) => row.event_id)
}

export async function failDelivery(
  scope: Scope,
  delivery: { readonly eventId: string; readonly service: ServiceName },
  error: Failure,
  notBefore: Instant | null,
): Promise<number> {
  const { eventId, service } = delivery
  const failed = await scope.db
    .updateTable('inbox')
    .set({
      failures: sql<number>`failures + 1`,
      error: toJson(error),
      ...(notBefore === null ? { dead_at: scope.now } : { not_before: notBefore }),
    })
    .where('event_id', '=', eventId)
    .where('service', '=', service)
    .where('handled_at', 'is', null)
    .where('dead_at', 'is', null)
    .returning('failures')
    .executeTakeFirst()
  if (failed) return failed.failures
  const present = await scope.db
    .selectFrom('inbox')
    .select('failures')
    .where('event_id', '=', eventId)
    .where('service', '=', service)
    .executeTakeFirst()
  return present?.failures ?? 0
}
