import { literal } from '../protocol/messages.ts'

export interface BaseBackupOptions {
  readonly label: string
  /** server_version_num / 10000. */
  readonly major: number
  /** Only what changed since the manifest that was uploaded (17 and later). */
  readonly incremental?: boolean
  /** Each archive as one zstd frame (15 and later, where the server was built with zstd). */
  readonly compressed?: boolean
}

/**
 * A full copy with the WAL that makes it consistent. WAIT is off: the WAL comes with the copy, so a broken archive_command
 * must not hold it up. Page verification is the server's default and stays on.
 */
export function baseBackupCommand({ label, major, incremental, compressed }: BaseBackupOptions): string {
  if (major >= 15) {
    const more = `${incremental ? ', INCREMENTAL true' : ''}${compressed ? ", COMPRESSION 'zstd', COMPRESSION_DETAIL 'level=1'" : ''}`
    return `BASE_BACKUP (LABEL ${literal(label)}, PROGRESS true, CHECKPOINT 'fast', WAL true, WAIT false, TABLESPACE_MAP true, VERIFY_CHECKSUMS true, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C'${more})`
  }
  return `BASE_BACKUP LABEL ${literal(label)} PROGRESS FAST WAL NOWAIT TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'`
}
