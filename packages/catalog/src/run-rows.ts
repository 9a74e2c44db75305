import type { Holder } from '@salvor/shared/ports/catalog'
import type { Run, RunProgress, RunState } from '@salvor/shared/vocabulary/run'
import type { RunTable } from './tables.ts'
import { failureOf, fromJson } from './values.ts'

/** A run as the port shows it. */
export function runOf(row: RunTable): Run {
  return {
    id: row.id,
    job: row.job,
    source: row.source,
    params: fromJson(row.params),
    state: row.state as RunState,
    attempt: row.attempt,
    failures: row.failures,
    pool: row.pool,
    config_hash: row.config_hash,
    not_before: row.not_before,
    created_at: row.created_at,
    started_at: row.started_at,
    finished_at: row.finished_at,
    lease_owner: row.lease_holder === null ? null : nameOf(holderOf(row.lease_holder)),
    lease_until: row.lease_until,
    progress: fromJson(row.progress) as RunProgress | null,
    error: failureOf(row.error),
    result: fromJson(row.result),
    correlation_id: row.correlation_id,
    causation_id: row.causation_id,
  }
}

export function holderOf(text: string): Holder {
  return JSON.parse(text) as Holder
}

/** Only the words of a holder, in one order, whatever the caller's object holds besides. */
export function holderText({ service, host, boot_id, pid, start_time }: Holder): string {
  return JSON.stringify({ service, host, boot_id, pid, start_time })
}

export function nameOf(holder: Holder): string {
  return `${holder.service}@${holder.host}/${holder.pid}`
}
