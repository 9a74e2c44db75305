import { type ErrorRow, row } from './error-row.ts'

/** What is brought back, looked into or proven, at a backup or at any instant. */
export const RESTORE_CODES = {
  // Restores and proofs.
  CANNOT_VERIFY_HERE: row('Cannot prove {what} on this machine: {missing} is missing', '{fix}', false, 3),
  RESTORE_FAILED: row(
    'The restore into {target} failed: {reason}',
    'nothing was put in place; look at the reason and run it again',
    false,
  ),
  DELTA_REFUSED: row('{target} is not restored onto with --delta: {reason}', '{fix}', false, 2),
  DELTA_BROKEN_OFF: row(
    'The delta restore into {target} broke off: {reason}',
    'what is there is half old and half new, and no server starts in it: run the same again, or restore to a new place',
    false,
  ),
  DELTA_DAMAGED: row(
    'The delta restore into {target} broke off, since the copy that it reads is damaged: {reason}',
    'what is there is half old and half new, and no server starts in it: run the same with --from a store whose copy is good ' +
      '(salvor list {source}), or restore another backup to a new place',
    false,
    4,
  ),
  HOOK_FAILED: row('{source}: the {which} hook failed: {how}', 'look at its output in the log', false),
  NO_SERVER_HERE: row('No server can be started on this machine: {missing} is missing', '{fix}', false, 2),
  RECOVERY_FAILED: row(
    'The server in {target} ended before {wanted}: {reason}',
    'restore again into a new place, to a target before that (salvor window SOURCE), or look with salvor verify at what is stored',
    false,
  ),
  CHECKS_FAILED: row('{count} of the checks failed: {names}', 'salvor verify {backup} --level restore', false, 4),
  NO_GOOD_COPY: row(
    'No store has a good copy of {backup}',
    'salvor verify {backup} --level checksum; then salvor list',
    false,
    4,
  ),

  // Looking into a backup without restoring it.
  QUERY_REFUSED: row(
    '{source}: {what} is refused: a backup is only read',
    'to change something: salvor restore {source} --to NEW_PLACE',
    false,
    2,
  ),
  QUERY_FAILED: row('{source}: {reason}', 'look at the SQL: tables and columns are those of that instant', false),
  NOTHING_TO_COMPARE: row('{source}: {reason}', 'salvor list {source}', false, 2),
  READING_UNSUPPORTED: row('{source}: it cannot be read where it lies: {reason}', '{fix}', false, 2),

  // Continuous WAL and point-in-time restore.
  WAL_CONFLICT: row(
    '{source}: store {store} holds another {name} already: {why}',
    'two servers write WAL under one source, or a restored one goes on as the old: give each a source of its own',
    false,
  ),
  WAL_NOT_STREAMED: row('{source}: the WAL is not streamed: {reason}', '{fix}', false),
  WAL_SLOT_BUSY: row(
    '{source}: the WAL is not streamed: {reason}',
    'SELECT pid, application_name, client_addr, state FROM pg_stat_replication; a worker that died is let go after wal_sender_timeout; ' +
      'whoever else streams needs another slot than `wal: { slot: … }` of this source',
    true,
    75,
  ),
  WAL_MISSING: row('{source}: {name} is not stored', 'salvor window {source}', false),
  WAL_DAMAGED: row(
    '{source}: {count} pieces of WAL are missing or damaged in {store}, the first {first}: {reason}',
    'salvor window {source}',
    false,
    4,
  ),
  RECOVERY_NOT_PROVEN: row('{source} does not come back to {to}: {reason}', 'salvor window {source}', false, 4),
  CHANGES_MISSING: row('{source}: the change set {name} is not stored', 'salvor window {source}', false),
  CHANGES_DAMAGED: row(
    '{source}: {count} change sets are missing or damaged in {store}, the first {first}: {reason}',
    'salvor window {source}',
    false,
    4,
  ),
  TARGET_OUTSIDE_WINDOW: row('{source} cannot be restored to {target}: {reason}', 'salvor window {source}', false, 2),
} as const satisfies Record<string, ErrorRow>
