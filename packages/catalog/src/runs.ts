import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { JOBS, type JobName } from '@salvor/shared/messages/jobs'
import type { Holder, NewRun, RunEnd } from '@salvor/shared/ports/catalog'
import { shifted } from '@salvor/shared/vocabulary/instant'
import type { Run, RunProgress } from '@salvor/shared/vocabulary/run'
import type { UpdateObject } from 'kysely'
import { sql } from 'kysely'
import { holderText, runOf } from './run-rows.ts'
import { schemaReason } from './schema-reason.ts'
import type { Scope } from './scope.ts'
import type { RunTable, Tables } from './tables.ts'
import { toJson } from './values.ts'

type RunUpdate = UpdateObject<Tables, 'runs'>

export async function enqueue<J extends JobName>(scope: Scope, run: NewRun<J>): Promise<Run> {
  const id = scope.ids.next()
  const row: RunTable = {
    id,
    job: run.job,
    source: run.source ?? null,
    params: JSON.stringify(parsedParams(run.job, run.params)),
    state: 'queued',
    attempt: 0,
    failures: 0,
    turn: 1,
    sent_turn: 0,
    sent_at: null,
    pool: run.pool ?? null,
    config_hash: run.config_hash ?? null,
    unique_key: run.unique_key ?? null,
    not_before: run.not_before ?? scope.now,
    created_at: scope.now,
    started_at: null,
    finished_at: null,
    lease_holder: null,
    lease_until: null,
    progress: null,
    error: null,
    result: null,
    correlation_id: run.correlation_id ?? scope.cause.correlation_id ?? id,
    causation_id: scope.cause.causation_id ?? null,
  }
  const made = await scope.db
    .insertInto('runs')
    .values(row)
    .onConflict((conflict) => conflict.column('unique_key').doNothing())
    .returningAll()
    .executeTakeFirst()
  if (made) return runOf(made)
  const present = scope.db.selectFrom('runs').selectAll().where('unique_key', '=', row.unique_key)
  return runOf(await present.executeTakeFirstOrThrow())
}

function parsedParams(job: JobName, params: unknown): unknown {
  const schema = Object.hasOwn(JOBS, job) ? JOBS[job] : null
  if (schema === null) throw new SalvorError('MESSAGE_INVALID', { what: `job ${job}`, reason: 'no such job' })
  const parsed = schema.safeParse(params)
  if (parsed.success) return parsed.data
  throw new SalvorError('MESSAGE_INVALID', { what: `job ${job}`, reason: schemaReason(parsed.error) }, parsed.error)
}

/** The one statement that moves an attempt out of `running`: a superseded attempt changes no row. */
export async function endRun(scope: Scope, runId: string, attempt: number, end: RunEnd): Promise<void> {
  const { numUpdatedRows } = await scope.db
    .updateTable('runs')
    .set({ lease_holder: null, lease_until: null, progress: null, ...changesOf(scope, end) })
    .where('id', '=', runId)
    .where('attempt', '=', attempt)
    .where('state', '=', 'running')
    .executeTakeFirst()
  if (numUpdatedRows !== 1n) throw new SalvorError('LEASE_LOST', { run: runId })
}

const ONE_MORE_TURN = sql<number>`turn + 1`
const ONE_MORE_FAILURE = sql<number>`failures + 1`

function changesOf({ now }: Scope, end: RunEnd): RunUpdate {
  if (end.kind === 'succeeded') {
    return { state: 'succeeded', finished_at: now, error: null, result: toJson(end.result) }
  }
  if (end.kind === 'again') {
    return { ...requeued(end.not_before), error: null, ...(end.result === undefined ? {} : doneForNow(end.result)) }
  }
  const failed = { error: toJson(end.error), failures: ONE_MORE_FAILURE }
  if (end.kind === 'failed') return { ...failed, state: 'failed', finished_at: now }
  return { ...failed, ...(end.dead ? { state: 'dead', finished_at: now } : requeued(end.not_before)) }
}

/** With a result, the turn's work was done: what failed before it counts no longer. */
function doneForNow(result: unknown): RunUpdate {
  return { result: toJson(result), failures: 0 }
}

export function requeued(not_before: string): RunUpdate {
  return { state: 'queued', not_before, turn: ONE_MORE_TURN, lease_holder: null, lease_until: null, progress: null }
}

export async function claimRun(scope: Scope, id: string, holder: Holder, leaseMs: number): Promise<Run | null> {
  const row = await scope.db
    .updateTable('runs')
    .set({
      state: 'running',
      attempt: sql<number>`attempt + 1`,
      started_at: scope.now,
      lease_holder: holderText(holder),
      lease_until: shifted(scope.now, leaseMs),
    })
    .where('id', '=', id)
    .where('state', '=', 'queued')
    .where('not_before', '<=', scope.now)
    .returningAll()
    .executeTakeFirst()
  return row ? runOf(row) : null
}

export async function renewRun(
  scope: Scope,
  lease: { readonly id: string; readonly attempt: number; readonly leaseMs: number },
  progress: RunProgress | null,
): Promise<boolean> {
  const { numUpdatedRows } = await scope.db
    .updateTable('runs')
    .set({
      lease_until: shifted(scope.now, lease.leaseMs),
      ...(progress === null ? {} : { progress: toJson(progress) }),
    })
    .where('id', '=', lease.id)
    .where('attempt', '=', lease.attempt)
    .where('state', '=', 'running')
    .executeTakeFirst()
  return numUpdatedRows === 1n
}
