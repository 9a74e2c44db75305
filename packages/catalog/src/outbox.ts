import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { EVENTS, type EventType, type NewEvent, type SalvorEvent } from '@salvor/shared/messages/events'
import { SUBSCRIBERS } from '@salvor/shared/messages/subscribers'
import type { ServiceName } from '@salvor/shared/vocabulary/service'
import type { Kysely } from 'kysely'
import { schemaReason } from './schema-reason.ts'
import type { Scope } from './scope.ts'
import type { Tables } from './tables.ts'
import { pagesOf } from './values.ts'

export async function publish<T extends EventType>(scope: Scope, event: NewEvent<T>): Promise<SalvorEvent<T>> {
  const { db, now, cause, ids } = scope
  const { type, subject } = event
  const data = parsedData(type, event.data)
  const id = ids.next()
  const correlation_id = cause.correlation_id ?? id
  const causation_id = cause.causation_id ?? null
  const { service: source } = cause
  await db
    .insertInto('outbox')
    .values({ id, type, source, subject, time: now, correlation_id, causation_id, data: toText(data), sent_at: null })
    .execute()
  const inbox = SUBSCRIBERS[type].map((service) => unhandled(id, service, correlation_id, now))
  if (inbox.length > 0) await db.insertInto('inbox').values(inbox).execute()
  return envelope({ id, type, source, subject, time: now, correlation_id, causation_id }, data) as SalvorEvent<T>
}

/** An inbox row of an event that this service has not handled yet. */
export function unhandled(event_id: string, service: ServiceName, correlation_id: string, not_before: string) {
  return { event_id, service, correlation_id, not_before, failures: 0, error: null, handled_at: null, dead_at: null }
}

/** MESSAGE_INVALID for a type or data that this version does not know: a newer one wrote it, or the row is damaged. */
export async function findEvent(db: Kysely<Tables>, id: string): Promise<SalvorEvent | null> {
  const row = await db.selectFrom('outbox').selectAll().where('id', '=', id).executeTakeFirst()
  return row ? (envelope(row, parsedData(row.type, fromText(row.type, row.data))) as SalvorEvent) : null
}

export async function unsentEvents(
  db: Kysely<Tables>,
  service: ServiceName | 'cli' | 'any',
  limit: number,
): Promise<readonly { id: string; type: EventType }[]> {
  const rows = await db
    .selectFrom('outbox')
    .select(['id', 'type'])
    .where('sent_at', 'is', null)
    .$if(service !== 'any', (query) => query.where('source', '=', service))
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows as readonly { id: string; type: EventType }[]
}

export async function markEventsSent(scope: Scope, ids: readonly string[]): Promise<void> {
  for (const page of pagesOf([...ids].sort(), 1000)) {
    await scope.db
      .updateTable('outbox')
      .set({ sent_at: scope.now })
      .where('id', 'in', page)
      .where('sent_at', 'is', null)
      .execute()
  }
}

function envelope(
  row: Pick<Tables['outbox'], 'id' | 'type' | 'source' | 'subject' | 'time' | 'correlation_id' | 'causation_id'>,
  data: unknown,
): object {
  const { id, type, source, subject, time } = row
  return { id, type, source, subject, time, correlationid: row.correlation_id, causationid: row.causation_id, data }
}

function parsedData(type: string, data: unknown): unknown {
  const schema = Object.hasOwn(EVENTS, type) ? EVENTS[type as EventType] : null
  if (schema === null) throw invalid(type, 'this version knows no such event')
  const parsed = schema.safeParse(data)
  if (parsed.success) return parsed.data
  throw invalid(type, schemaReason(parsed.error), parsed.error)
}

function fromText(type: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(type, 'it is not JSON', error)
  }
}

function toText(data: unknown): string {
  return JSON.stringify(data)
}

function invalid(type: string, reason: string, cause?: unknown): SalvorError {
  return new SalvorError('MESSAGE_INVALID', { what: `event ${type}`, reason }, cause)
}
