import { type ErrorRow, row } from './error-row.ts'

/** Sources: what the database said, without its rows. */
export const SOURCE_CODES = {
  SOURCE_MISSING: row('{source}: {what} does not exist', 'check `path` of source {source} in the configuration', false),
  SOURCE_UNREADABLE: row(
    '{source}: {what} cannot be read: {reason}',
    'give the user that runs Salvor read and write access to the database and its folder',
    false,
  ),
  SOURCE_NOT_A_DATABASE: row(
    '{source}: {what} is not a SQLite database (or it is encrypted)',
    'check `path` of source {source} in the configuration',
    false,
  ),
  SOURCE_DAMAGED: row(
    '{source}: the database is damaged: {reason}',
    'check it (SQLite: `PRAGMA integrity_check`; PostgreSQL: stop it, `pg_checksums --check`); the last proven backup is kept: salvor list {source}',
    false,
  ),
  SOURCE_LOCKED: row(
    '{source}: locked by another program for {seconds} s',
    'find the program that holds the lock (fuser); Salvor tries again by itself',
    true,
  ),
  SOURCE_CHANGED: row('{source}: the file was replaced while it was copied', 'salvor backup {source}', true),
  SOURCE_LOG_GREW: row(
    '{source}: its write-ahead log grew by {grown} while the copy was read (limit {limit})',
    'back {source} up at a quieter hour, or name a faster store first in `copies`',
    true,
  ),
  SOURCE_STALLED: row(
    '{source}: a copy would keep its writers waiting for more than {seconds} s',
    'switch it to WAL (`PRAGMA journal_mode = WAL` in the application), or back it up at a quieter hour',
    true,
  ),
  SOURCE_UNREACHABLE: row(
    '{source}: cannot connect to {where}: {reason}',
    'check that the server runs and that {where} is reachable from this machine',
    true,
  ),
  SOURCE_AUTH_FAILED: row(
    '{source}: the server refused the login of {user}: {reason}',
    'check the password (`url_file`, `password_file` or ~/.pgpass) and the pg_hba.conf line for replication',
    false,
  ),
  SOURCE_PRIVILEGE_MISSING: row('{source}: {user} may not {what}', '{fix}', false),
  SOURCE_UNSUPPORTED: row('{source}: {what}', '{fix}', false),
  SOURCE_BUSY: row('{source}: another run is at work on it', 'wait for it: salvor status', true, 75),
  SOURCE_BROKE_OFF: row(
    '{source}: what the server sends broke off: {reason}',
    'look into the server log; Salvor tries again by itself',
    true,
  ),
  DUMP_FAILED: row(
    '{source}: {program} of {what} failed: {reason}',
    'look into the server log; Salvor tries again by itself',
    true,
  ),
  PROGRAM_MISSING: row(
    '{source}: this machine has no {program} of PostgreSQL {major} or newer',
    'apt install postgresql-client-{major}, or name its folder in verifier.postgres_bin',
    false,
  ),
  FULL_NEEDED: row('{source}: no incremental on {parent}: {reason}', 'salvor backup {source} --type full', false),
  SOURCE_TLS_FAILED: row(
    '{source}: no trusted TLS connection to {where}: {reason}',
    'check sslrootcert and the host name in the URL',
    false,
  ),
} as const satisfies Record<string, ErrorRow>
