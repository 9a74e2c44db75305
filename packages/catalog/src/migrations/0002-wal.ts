import type { Migration } from '../migrate.ts'

/** The continuous WAL of PostgreSQL sources. Positions are 16 hex digits, so that they sort as text on both databases. */
export const wal: Migration = {
  name: '0002-wal',
  statements: (text) => [
    `create table wal (source ${text} not null, store ${text} not null, name ${text} not null, kind ${text} not null
       check (kind in ('segment', 'tail', 'history', 'partial', 'label')), system_id ${text}, timeline bigint not null,
       segment_size bigint, start_lsn ${text} not null, end_lsn ${text} not null, current_at ${text}, first_commit_at ${text},
       last_commit_at ${text}, last_commit_lsn ${text}, restore_points ${text} not null, size_bytes bigint not null,
       source_bytes bigint not null, document_sha256 ${text} not null, stored_at ${text} not null,
       primary key (source, store, name))`,
    `create index wal_by_position on wal (source, timeline, start_lsn, name, store)`,
    `create table wal_gaps (source ${text} not null, system_id ${text} not null, timeline bigint not null,
       from_lsn ${text} not null, to_timeline bigint not null, to_lsn ${text} not null, reason ${text} not null,
       detected_at ${text} not null, primary key (source, system_id, timeline, from_lsn))`,
    `create table wal_streams (source ${text} primary key, state ${text} not null, at ${text} not null)`,
  ],
}
