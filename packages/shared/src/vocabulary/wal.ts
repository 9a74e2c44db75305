import type { Instant } from './instant.ts'
import { lsnKey, type Lsn } from './lsn.ts'

/**
 * segment: a whole WAL segment · tail: a piece of one that is not full yet · history: how a timeline began ·
 * partial, label: what archive_command hands over besides (`….partial`, `….backup`); no recovery asks for them.
 */
export const WAL_KINDS = ['segment', 'tail', 'history', 'partial', 'label'] as const
export type WalKind = (typeof WAL_KINDS)[number]

/** A restore point that somebody named by `pg_create_restore_point`. */
export interface RestorePoint {
  readonly name: string
  readonly lsn: Lsn
  readonly at: Instant
}

/** What replaying a piece of WAL passes by. Times are the server's own. */
export interface WalContents {
  readonly first_commit_at: Instant | null
  readonly last_commit_at: Instant | null
  /** Where the record of that last commit begins. */
  readonly last_commit_lsn: Lsn | null
  readonly restore_points: readonly RestorePoint[]
}

/** One stored piece of WAL. `end_lsn` is the first byte that is not in it; both are null for history files and labels. */
export interface WalFile extends WalContents {
  readonly source: string
  readonly name: string
  readonly kind: WalKind
  /** 64 bits, as text. Null where the file itself does not tell. */
  readonly system_id: string | null
  readonly timeline: number
  readonly segment_size: number | null
  readonly start_lsn: Lsn | null
  readonly end_lsn: Lsn | null
  /** Nothing was committed after `end_lsn` up to this time of the server's clock; null where nobody asked it. */
  readonly current_at: Instant | null
  readonly size_bytes: number
  readonly source_bytes: number
  /** SHA-256 of the signed document that describes it. */
  readonly document_sha256: string
  readonly stored_at: Instant
}

/** A piece in one store. */
export interface StoredWal extends WalFile {
  readonly store: string
}

/** WAL that no store has and the server no longer keeps: from `from_lsn` to where the stream went on. */
export interface WalGap {
  readonly source: string
  readonly system_id: string
  readonly timeline: number
  readonly from_lsn: Lsn
  readonly to_timeline: number
  readonly to_lsn: Lsn
  readonly reason: string
  readonly detected_at: Instant
}

/** How the stream of a source was doing when it last said so. */
export interface WalStreamState {
  readonly source: string
  readonly system_id: string
  readonly timeline: number
  readonly received_lsn: Lsn
  readonly stored_lsn: Lsn
  readonly server_lsn: Lsn
  /** By the server's clock: everything committed until then is in a store. Null: not known. */
  readonly covered_until: Instant | null
  readonly spool_bytes: number
  /** Why nothing is stored at the moment; null: it is. */
  readonly trouble: string | null
  readonly at: Instant
}

/** What a piece of WAL is, before it is stored. */
export type WalPiece = Omit<WalFile, 'source' | 'size_bytes' | 'source_bytes' | 'document_sha256' | 'stored_at'>

/** What the name of a piece of WAL says. */
export interface WalName {
  readonly kind: WalKind
  /** 8 hex digits. */
  readonly timeline: string
  /** Name of the segment; null for a history file. */
  readonly segment: string | null
  /** Of a tail: 16 hex digits. */
  readonly end: string | null
}

const NAME =
  /^([0-9A-F]{8})(?:\.(history)|([0-9A-F]{16})(?:\.(partial)|\.([0-9A-F]{8})\.(backup)|\.([0-9A-F]{16})\.(tail))?)$/

/** Null for anything that is no name of a piece of WAL: names come from servers, stores and command lines. */
export function parseWalName(name: string): WalName | null {
  const [, timeline, history, rest, partial, , label, end] = NAME.exec(name) ?? []
  if (timeline === undefined) return null
  if (history !== undefined) return { kind: 'history', timeline, segment: null, end: null }
  const kind = partial ? 'partial' : label ? 'label' : end ? 'tail' : 'segment'
  return { kind, timeline, segment: `${timeline}${rest}`, end: end ?? null }
}

const hex8 = (value: bigint): string => value.toString(16).toUpperCase().padStart(8, '0')

export function timelineName(timeline: number): string {
  return hex8(BigInt(timeline))
}

/** Name of the segment in which a position lies. */
export function segmentAt(timeline: number, position: bigint, segmentSize: number): string {
  const perId = 0x1_0000_0000n / BigInt(segmentSize)
  const number = position / BigInt(segmentSize)
  return `${timelineName(timeline)}${hex8(number / perId)}${hex8(number % perId)}`
}

/** Where the segment of this name begins. Null: no segment of that size has such a name. */
export function segmentStart(segment: string, segmentSize: number): bigint | null {
  const perId = 0x1_0000_0000n / BigInt(segmentSize)
  const high = BigInt(`0x${segment.slice(8, 16)}`)
  const low = BigInt(`0x${segment.slice(16, 24)}`)
  return low < perId ? (high * perId + low) * BigInt(segmentSize) : null
}

export function tailName(segment: string, end: bigint): string {
  return `${segment}.${lsnKey(end)}.tail`
}

export function historyName(timeline: number): string {
  return `${timelineName(timeline)}.history`
}

/** A power of two from 1 MiB to 1 GiB, as initdb allows. */
export function isSegmentSize(bytes: number): boolean {
  return bytes >= 1 << 20 && bytes <= 1 << 30 && Number.isInteger(Math.log2(bytes))
}

export interface WalPosition {
  readonly timeline: number
  readonly lsn: Lsn
}
