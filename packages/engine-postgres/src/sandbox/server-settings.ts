import type { ControlFile } from '../data-folder/control-file.ts'

/**
 * The whole configuration of a sandbox server: no network, no archive, no subscriptions, no foreign libraries, nothing
 * of a row in its log, little memory, and no waiting for a disk that is thrown away.
 */
export function sandboxSettings(
  major: number,
  folder: string,
  { parameters }: ControlFile,
  hasTablespaces: boolean,
  more: Readonly<Record<string, string>> = {},
): string {
  const settings: Record<string, string | number> = {
    listen_addresses: '',
    unix_socket_directories: `${folder}/socket`,
    unix_socket_permissions: '0700',
    hba_file: `${folder}/pg_hba.conf`,
    ident_file: `${folder}/pg_ident.conf`,
    ssl: 'off',
    archive_mode: 'off',
    hot_standby: 'off',
    // The copy of a stopped server has its replication slots: they need this to be loaded.
    wal_level: 'logical',
    max_replication_slots: 500,
    max_wal_senders: 0,
    max_logical_replication_workers: 0,
    shared_preload_libraries: '',
    session_preload_libraries: '',
    local_preload_libraries: '',
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    autovacuum: 'off',
    restart_after_crash: 'off',
    max_connections: 20,
    max_worker_processes: 0,
    max_parallel_workers: 0,
    max_prepared_transactions: parameters.max_prepared_transactions,
    max_locks_per_transaction: parameters.max_locks_per_transaction,
    shared_buffers: '32MB',
    huge_pages: 'off',
    jit: 'off',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_statement: 'none',
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    lc_messages: 'C',
    log_timezone: 'UTC',
    timezone: 'UTC',
  }
  // They are folders of the copy, not links out of it.
  if (hasTablespaces) settings['allow_in_place_tablespaces'] = 'on'
  if (major >= 17) settings['event_triggers'] = 'off'
  if (major >= 18) settings['io_method'] = 'sync'
  return Object.entries({ ...settings, ...more })
    .map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`)
    .join('')
}
