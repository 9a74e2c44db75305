import { type ErrorRow, row } from './error-row.ts'
import { RESTORE_CODES } from './restore-codes.ts'
import { SOURCE_CODES } from './source-codes.ts'

/** Every failure Salvor names. `docs/errors.md` is made from this table; the comment above a group says when it is normal. */
export const CODES = {
  // Configuration and usage: nothing was touched.
  CONFIG_INVALID: row('{file}:{line}: {key}: {reason}', '{fix}', false, 2),
  CONFIG_MISSING: row(
    'No configuration at {file}',
    'write {file} (a ten-line example is in README.md) or pass --config FILE',
    false,
    2,
  ),
  SECRET_MISSING: row(
    '{key}: the secret {what} cannot be read: {reason}',
    'put the secret into that file with mode 0600, readable by this user',
    false,
    2,
  ),
  USAGE: row('{reason}', 'salvor {command} --help', false, 2),
  SOURCE_UNKNOWN: row('No source is called {source}', 'salvor config validate', false, 2),
  STORE_UNKNOWN: row('No store is called {store}', 'salvor config validate', false, 2),
  BACKUP_UNKNOWN: row('No backup matches {backup}', 'salvor list', false, 2),
  BACKUP_AMBIGUOUS: row('{backup} matches {count} backups', 'salvor list', false, 2),
  NOT_AVAILABLE: row('{what} is not available yet', '{fix}', false, 2),
  TARGET_NOT_EMPTY: row('The target {target} is not empty', 'name an empty or new place, or pass --in-place', false, 2),
  TARGET_IN_USE: row('{target} is in use: {by}', 'stop what uses it and run the restore again', false, 2),
  TABLESPACE_REFUSED: row(
    'The tablespace {tablespace} cannot be restored to {place}: {reason}',
    'name an empty or new place: --tablespace {tablespace}=NEW',
    false,
    2,
  ),
  PLATFORM_UNSUPPORTED: row(
    'Salvor runs on Linux (glibc) and macOS; this is {platform}',
    'on Windows use WSL2',
    false,
    2,
  ),

  ...SOURCE_CODES,

  // Stores.
  STORE_UNREACHABLE: row(
    'Store {store} cannot be reached: {reason}',
    'check endpoint and network of store {store}; Salvor tries again by itself',
    true,
  ),
  STORE_THROTTLED: row('Store {store} asks to slow down', 'nothing to do: Salvor tries again by itself', true, 75),
  STORE_DENIED: row(
    'Store {store} refused to {what}: {reason}',
    'check the credentials and the policy of store {store}',
    false,
  ),
  STORE_FULL: row('Store {store} has no room left', 'free space on store {store}, or name a larger one', true),
  STORE_CONFLICT: row(
    'Store {store} holds other bytes under {key}',
    'nothing was overwritten; move that object away, or take a new backup',
    false,
  ),
  STORE_NOT_FOUND: row(
    'Store {store} has no object {key}',
    'salvor verify {key} --level checksum, or restore --from another store',
    false,
  ),
  STORE_BAD_ECHO: row(
    'Store {store} did not confirm the bytes of {key}: {reason}',
    'Salvor tries again by itself; if it stays, the store or a proxy before it changes data',
    true,
  ),
  STORE_IO: row('Store {store}: {reason}', 'check the disk behind store {store}', true),
  STORE_TRUNCATED: row(
    'Store {store}: {key} ends before byte {wanted} (it has {found})',
    'the object is cut; another copy may be good: salvor list',
    false,
    4,
  ),
  STORE_KEY_INVALID: row(
    '{key} is not a key that Salvor would write',
    'nothing was opened; the manifest or the catalog that named it is damaged or hostile',
    false,
    4,
  ),
  STORE_REFUSES_PLAIN: row(
    'Store {store} is not local, and the backup is not encrypted',
    'salvor keys create, then set encryption.keyring_file; or say `encryption: none` in source {source}',
    false,
    2,
  ),

  // Artifacts and keys.
  ARTIFACT_CORRUPT: row(
    '{key}: {reason}',
    'another copy may be good: salvor list {source}; then salvor backup {source}',
    false,
    4,
  ),
  MANIFEST_INVALID: row(
    '{key}: the manifest is not valid: {reason}',
    'another store may hold a good one; verify changes nothing',
    false,
    4,
  ),
  SIGNER_UNKNOWN: row(
    '{key} is signed by an unknown key {signer}',
    'add the public key {signer} to the keyring, or do not trust this copy',
    false,
    4,
  ),
  KEY_MISSING: row(
    'No key of the keyring opens {key} (wanted: {wanted})',
    'pass the keyring that holds one of these private keys: --keys FILE',
    false,
  ),
  KEYRING_INVALID: row(
    'The keyring {file} cannot be used: {reason}',
    'salvor keys create writes a good one; chmod 600 it, or mount it read-only below /run/secrets',
    false,
    2,
  ),
  COMPRESSION_BROKEN: row(
    'This Node build does not decode what it compressed',
    'use the Node version in tools/package.json',
    false,
  ),

  ...RESTORE_CODES,

  // The product itself.
  CATALOG_UNREACHABLE: row(
    'The catalog cannot be reached: {reason}',
    'check `catalog.url` or the disk behind data_dir',
    true,
  ),
  CATALOG_NEWER: row('The catalog was written by a newer Salvor (migration {found})', 'run the newer version', false),
  CATALOG_FULL: row('No room left for the catalog: {reason}', 'free space on the disk behind data_dir', true),
  CATALOG_DAMAGED: row(
    'The catalog is damaged: {reason}',
    'move catalog.db out of data_dir and run salvor catalog rebuild --from STORE',
    false,
  ),
  SOURCE_CLAIMED: row(
    'Source {source} in store {store} belongs to another catalog ({owner})',
    'this worker stopped; use one catalog, or give this one another prefix',
    false,
  ),
  LEASE_LOST: row(
    'This attempt at {run} was replaced by a newer one',
    'nothing to do: its result was not committed',
    false,
  ),
  RUN_GIVEN_UP: row(
    'The run was given up: the catalog did not answer in time to keep its lease, and nothing was committed',
    'run the command again when the machine has less to do, or see who works on it: salvor status',
    true,
    75,
  ),
  CONFIG_DIFFERS: row(
    'The worker has another configuration of {source} than the one the run was planned with',
    'reload all services: kill -HUP',
    true,
  ),
  REDIS_UNREACHABLE: row(
    'Redis cannot be reached: {reason}',
    'check redis.url; alerts go out meanwhile, jobs follow when it is back',
    true,
  ),
  REDIS_POLICY: row(
    'Redis evicts keys (maxmemory-policy {policy})',
    'redis-cli CONFIG SET maxmemory-policy noeviction',
    false,
    2,
  ),
  TASK_DIED: row(
    'The process of {task} ended by {how}',
    'memory or a kill from outside; Salvor tries again by itself',
    true,
  ),
  DISK_FULL: row('No room left on the disk of {what}', 'free space there; Salvor tries again by itself', true),
  CHANNEL_FAILED: row(
    'Channel {channel} did not take the message: {reason}',
    'salvor queue dead shows it if retries run out',
    true,
  ),
  CHANNEL_MISCONFIGURED: row(
    'Channel {channel} refuses the message for good: {reason}',
    'check the address or key of channel {channel}',
    false,
  ),
  CHANNEL_THROTTLED: row(
    'Channel {channel} asks to wait {seconds} s',
    'nothing to do: Salvor waits and sends it',
    true,
  ),
  MESSAGE_INVALID: row('{what} does not fit its schema: {reason}', 'salvor queue dead', false),
  INTERRUPTED: row('Interrupted', 'run it again: nothing was half-written', true, 130),
  INTERNAL: row('A bug: {what}', 'please report it with the log lines around it', false),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof CODES
