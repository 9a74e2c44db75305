import type { Migration } from '../migrate.ts'

/** Change sets that are made of others, and those that are on their way out of a store. */
export const compactedChanges: Migration = {
  name: '0004-compacted-changes',
  statements: (text) => [
    `alter table change_sets add column brings_state_of ${text}`,
    `alter table change_sets add column leaving_at ${text}`,
  ],
}
