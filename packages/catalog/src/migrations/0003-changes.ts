import type { Migration } from '../migrate.ts'

/** The change sets of SQLite sources. */
export const changes: Migration = {
  name: '0003-changes',
  statements: (text) => [
    `create table change_sets (source ${text} not null, store ${text} not null, base ${text} not null, name ${text} not null,
       method ${text} not null check (method in ('log', 'scan')), stands_on ${text} not null
       check (stands_on in ('previous', 'base')), previous ${text}, lost ${text}, from_at ${text} not null, to_at ${text} not null,
       page_size bigint not null, page_count bigint not null, pages bigint not null, state_sha256 ${text}, position ${text},
       size_bytes bigint not null, source_bytes bigint not null, document_sha256 ${text} not null, stored_at ${text} not null,
       primary key (source, store, base, name))`,
    `create index change_sets_by_instant on change_sets (source, to_at, name, store)`,
    `create table change_streams (source ${text} primary key, state ${text} not null, at ${text} not null)`,
  ],
}
