import type { ControlFile } from '../data-folder/control-file.ts'

export type ServerSettings = Readonly<Record<string, string | number>>

/**
 * What every server that Salvor runs has: no network, no archive, no subscriptions, no foreign libraries, nothing of a row
 * in its log, and little memory.
 */
export function ownSettings(major: number, folder: string): ServerSettings {
  return {
    listen_addresses: '',
    unix_socket_directories: `${folder}/socket`,
    unix_socket_permissions: '0700',
    hba_file: `${folder}/pg_hba.conf`,
    ident_file: `${folder}/pg_ident.conf`,
    ssl: 'off',
    archive_mode: 'off',
    // The copy of a stopped server has its replication slots: they need this to be loaded.
    wal_level: 'logical',
    max_replication_slots: 500,
    max_logical_replication_workers: 0,
    shared_preload_libraries: '',
    session_preload_libraries: '',
    local_preload_libraries: '',
    autovacuum: 'off',
    restart_after_crash: 'off',
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
    ...(major >= 17 && { event_triggers: 'off' }),
    ...(major >= 18 && { io_method: 'sync' }),
  }
}

/** They are folders of the copy, not links out of it. */
export const IN_PLACE_TABLESPACES: ServerSettings = { allow_in_place_tablespaces: 'on' }

/** The whole configuration of a sandbox server, which does not wait for a disk that is thrown away. */
export function sandboxSettings(
  major: number,
  folder: string,
  { parameters }: ControlFile,
  hasTablespaces: boolean,
  more: ServerSettings = {},
): string {
  const settings: ServerSettings = {
    ...ownSettings(major, folder),
    hot_standby: 'off',
    max_wal_senders: 0,
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    max_connections: 20,
    max_worker_processes: 0,
    max_parallel_workers: 0,
    max_prepared_transactions: parameters.max_prepared_transactions,
    max_locks_per_transaction: parameters.max_locks_per_transaction,
    ...(hasTablespaces && IN_PLACE_TABLESPACES),
  }
  return Object.entries({ ...settings, ...more })
    .map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`)
    .join('')
}
