import type { ObjectKey } from '@salvor/shared/ports/store'
import type { BackupType } from '@salvor/shared/vocabulary/backup'
import { epochMicros, type Instant } from '@salvor/shared/vocabulary/instant'
import type { CompressionChoice } from '@salvor/shared/vocabulary/source'

/** The readable index in the root of a local store. */
export const STORE_INDEX_KEY: ObjectKey = 'manifest.json'
/** How far after its timestamp the second in a backup's name may lie, because earlier seconds were taken. */
export const STEM_SLACK_SECONDS = 3600

const PREFIX: Record<BackupType, string> = {
  full: 'backup_full',
  incremental: 'backup_incremental',
  pre_restore: 'pre_restore_backup',
}
/** db: one database file · tar: a data folder, or what changed in it · pages: what changed in one database file. */
export const ARTIFACT_KINDS = ['db', 'tar', 'pages'] as const
export type ArtifactKind = (typeof ARTIFACT_KINDS)[number]

/** `backup_full_20251127_203930`: begins the name of every object of one backup. */
export function stemOf(type: BackupType, timestamp: Instant): string {
  epochMicros(timestamp)
  const [day, time] = timestamp.slice(0, 19).split('T') as [string, string]
  return `${PREFIX[type]}_${day.replaceAll('-', '')}_${time.replaceAll(':', '')}`
}

/** Whether `stem` is a name that a backup of this type and timestamp may have. */
export function stemFits(stem: string, type: BackupType, timestamp: Instant): boolean {
  const parts = /^([a-z_]+)_(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)$/.exec(stem)
  if (parts?.[1] !== PREFIX[type]) return false
  const [, , year, month, day, hour, minute, second] = parts
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  const late = time / 1000 - Number(epochMicros(timestamp) / 1_000_000n)
  return (
    late >= 0 && late <= STEM_SLACK_SECONDS && stemOf(type, new Date(time).toISOString().replace('Z', '000Z')) === stem
  )
}

/** `<stem>.tar.zst.enc`. */
export function artifactName(
  stem: string,
  kind: ArtifactKind,
  algorithm: CompressionChoice['algorithm'],
  encrypted: boolean,
): string {
  return `${stem}.${kind}.${algorithm === 'zstd' ? 'zst' : 'gz'}${encrypted ? '.enc' : ''}`
}

/** Keys of the objects of one backup. */
export interface BackupKeys {
  readonly manifest: ObjectKey
  readonly index: ObjectKey
  readonly recovery: ObjectKey
  /** Beside incrementals only: the script that puts a chain together. */
  readonly recoverScript: ObjectKey
  /** Begins the key of every wrapped-key file; `<n>.json` follows. */
  readonly keysPrefix: ObjectKey
}

export function backupKeys(source: string, stem: string): BackupKeys {
  const at = `${source}/${stem}`
  return {
    manifest: `${at}.manifest.json`,
    index: `${at}.index.zst`,
    recovery: `${at}.RECOVERY.md`,
    recoverScript: `${at}.recover.py`,
    keysPrefix: `${at}.keys.`,
  }
}

/** Key of what the next incremental needs to know: sealed in the backups of an encrypted source. */
export function digestsKey(source: string, stem: string, encrypted: boolean): ObjectKey {
  return `${source}/${stem}.digests.zst${encrypted ? '.enc' : ''}`
}

/** The write-once object that says which catalog owns a source. */
export function claimKey(source: string, epoch: number): ObjectKey {
  return `${source}/claims/${epoch}.json`
}

/** Source and stem of a manifest's key; null for the key of anything else. */
export function parseManifestKey(key: ObjectKey): { readonly source: string; readonly stem: string } | null {
  const parts = /^(.+)\/([a-z_]+_\d{8}_\d{6})\.manifest\.json$/.exec(key)
  return parts ? { source: parts[1]!, stem: parts[2]! } : null
}

/**
 * A relative path as the part of a source's name behind `<name>/`. Every byte other than `A-Za-z0-9._-`, and a `.` or `-` that
 * begins or ends a part, becomes `%XX`, so that the name is a key whatever the file is called.
 */
export function encodeSourcePath(relative: string): string {
  const encodePart = (part: string) => {
    const encoded = Array.from(Buffer.from(part), (byte) => {
      const char = String.fromCharCode(byte)
      return /[A-Za-z0-9._-]/.test(char) ? char : percent(byte)
    }).join('')
    return encoded.replace(/^[.-]|[.-]$/g, (edge) => percent(edge.charCodeAt(0)))
  }
  return relative.split('/').map(encodePart).join('/')
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
}

/** Key of the manifest of a backup that the catalog knows by its artifact's name. */
export function manifestKeyOf(backup: { readonly source: string; readonly filename: string }): ObjectKey {
  return backupKeys(backup.source, backup.filename.split('.', 1)[0] ?? '').manifest
}
