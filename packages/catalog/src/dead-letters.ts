import type { EventType } from '@salvor/shared/messages/events'
import { JOB_RULES, type JobName } from '@salvor/shared/messages/jobs'
import type { DeadLetter } from '@salvor/shared/ports/catalog'
import type { ServiceName } from '@salvor/shared/vocabulary/service'
import type { Kysely } from 'kysely'
import { requeued } from './runs.ts'
import type { Scope } from './scope.ts'
import type { Tables } from './tables.ts'
import { failureOf } from './values.ts'

/** Runs and events together, the longest waiting first. */
export async function deadLetters(db: Kysely<Tables>): Promise<readonly DeadLetter[]> {
  const letters = [...(await deadRuns(db)), ...(await deadEvents(db))]
  return letters.sort((a, b) => (a.since < b.since ? -1 : 1))
}

async function deadRuns(db: Kysely<Tables>): Promise<DeadLetter[]> {
  const rows = await db.selectFrom('runs').selectAll().where('state', '=', 'dead').execute()
  return rows.map((row) => ({
    kind: 'run',
    id: row.id,
    what: row.job,
    service: serviceOf(row.job),
    failures: row.failures,
    error: failureOf(row.error),
    since: row.finished_at ?? row.created_at,
  }))
}

/** A job of a newer version is handled by nobody here; the scheduler is who shows it. */
function serviceOf(job: string): ServiceName {
  return Object.hasOwn(JOB_RULES, job) ? JOB_RULES[job as JobName].service : 'scheduler'
}

async function deadEvents(db: Kysely<Tables>): Promise<DeadLetter[]> {
  const rows = await db
    .selectFrom('inbox')
    .innerJoin('outbox', 'outbox.id', 'inbox.event_id')
    .select(['event_id', 'service', 'failures', 'error', 'dead_at', 'type'])
    .where('dead_at', 'is not', null)
    .execute()
  return rows.map((row) => ({
    kind: 'event',
    id: `${row.event_id}/${row.service}`,
    what: row.type as EventType,
    service: row.service as ServiceName,
    failures: row.failures,
    error: failureOf(row.error),
    since: row.dead_at!,
  }))
}

/** The failures are forgotten: a person has looked. */
export async function replay(scope: Scope, id: string): Promise<boolean> {
  const [event, service] = id.split('/')
  const { numUpdatedRows } = await (service === undefined
    ? scope.db
        .updateTable('runs')
        .set({ ...requeued(scope.now), failures: 0, finished_at: null })
        .where('id', '=', id)
        .where('state', '=', 'dead')
        .executeTakeFirst()
    : scope.db
        .updateTable('inbox')
        .set({ dead_at: null, failures: 0, not_before: scope.now })
        .where('event_id', '=', event!)
        .where('service', '=', service)
        .where('dead_at', 'is not', null)
        .executeTakeFirst())
  return numUpdatedRows === 1n
}
