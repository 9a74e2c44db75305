import type { Migration } from '../migrate.ts'

/**
 * Everything of the first version. `text` sorts by bytes on both databases. What a backup consists of lies in `artifacts`,
 * where it is lies in `copies`. A released migration never changes: what comes later is a new file.
 */
export const initial: Migration = {
  name: '0001-initial',
  statements: (text) => [
    `create table meta (one bigint primary key check (one = 1), id ${text} not null, epoch bigint not null,
       created_at ${text} not null)`,

    `create table sources (name ${text} primary key, engine ${text} not null, pool ${text}, config_hash ${text} not null,
       state ${text} not null check (state in ('active', 'retired')), registered_at ${text} not null)`,
    `create table schedules (id ${text} primary key, source ${text} not null references sources (name),
       kind ${text} not null, cron ${text} not null, timezone ${text} not null, due_at ${text} not null)`,
    `create index schedules_due on schedules (due_at)`,

    `create table backups (id ${text} primary key, source ${text} not null, engine ${text} not null, type ${text} not null,
       retention_class ${text} not null,
       state ${text} not null check (state in ('completed', 'verified', 'proven', 'corrupt')),
       filename ${text} not null, "timestamp" ${text} not null, consistent_at ${text} not null,
       source_bytes bigint not null, source_db ${text} not null, retention_until ${text}, parent ${text},
       duration_ms double precision not null, encrypted bigint not null)`,
    `create index backups_by_time on backups ("timestamp", id)`,
    `create index backups_of_source on backups (source, "timestamp", id)`,
    `create index backups_by_filename on backups (filename)`,
    `create table artifacts (backup_id ${text} not null references backups (id), role ${text} not null
       check (role in ('artifact', 'manifest')), size_bytes bigint, sha256 ${text} not null, primary key (backup_id, role))`,
    `create table copies (backup_id ${text} not null references backups (id), store ${text} not null,
       state ${text} not null check (state in ('pending', 'completed', 'verified', 'proven', 'corrupt')),
       "key" ${text} not null, stored_at ${text}, upload ${text}, primary key (backup_id, store))`,
    `create index copies_in_state on copies (state, backup_id, store)`,
    `create table verifications (id ${text} primary key, backup_id ${text} not null references backups (id),
       store ${text} not null, level ${text} not null, ok bigint not null, checks ${text} not null,
       started_at ${text} not null, duration_ms double precision not null)`,
    `create index verifications_of_backup on verifications (backup_id, started_at)`,
    `create table claims (source ${text} not null, store ${text} not null, claimed_at ${text} not null,
       primary key (source, store))`,

    `create table runs (id ${text} primary key, job ${text} not null, source ${text}, params ${text} not null,
       state ${text} not null check (state in ('queued', 'running', 'succeeded', 'failed', 'dead')),
       attempt bigint not null, failures bigint not null, turn bigint not null, sent_turn bigint not null,
       sent_at ${text}, pool ${text}, config_hash ${text}, unique_key ${text} unique, not_before ${text} not null,
       created_at ${text} not null, started_at ${text}, finished_at ${text}, lease_holder ${text}, lease_until ${text},
       progress ${text}, error ${text}, result ${text}, correlation_id ${text} not null, causation_id ${text})`,
    `create index runs_queued on runs (job, not_before, id) where state = 'queued'`,
    `create index runs_unsent on runs (job, id) where state = 'queued' and sent_turn < turn`,
    `create index runs_in_state on runs (state, id)`,
    `create index runs_of_source on runs (source, id)`,
    `create index runs_of_correlation on runs (correlation_id, id)`,

    `create table outbox (id ${text} primary key, type ${text} not null, source ${text} not null, subject ${text} not null,
       "time" ${text} not null, correlation_id ${text} not null, causation_id ${text}, data ${text} not null,
       sent_at ${text})`,
    `create index outbox_unsent on outbox (id) where sent_at is null`,
    `create table inbox (event_id ${text} not null references outbox (id), service ${text} not null,
       correlation_id ${text} not null, not_before ${text} not null, failures bigint not null, error ${text},
       handled_at ${text}, dead_at ${text}, primary key (event_id, service))`,
    `create index inbox_due on inbox (service, not_before) where handled_at is null and dead_at is null`,
    `create index inbox_dead on inbox (dead_at) where dead_at is not null`,

    `create table leases (name ${text} primary key, holder ${text} not null, token bigint not null, until ${text} not null)`,
    `create table incidents (id ${text} primary key, "key" ${text} not null, source ${text}, title ${text} not null,
       opened_at ${text} not null, resolved_at ${text})`,
    `create unique index incidents_open on incidents ("key") where resolved_at is null`,

    `create table audit (n bigint primary key, at ${text} not null, service ${text} not null, actor ${text} not null,
       action ${text} not null, object ${text} not null, outcome ${text} not null, correlation_id ${text},
       hash ${text} not null)`,
    `create table audit_head (one bigint primary key check (one = 1), n bigint not null, hash ${text} not null,
       genesis ${text} not null)`,
  ],
}
