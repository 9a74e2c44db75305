import { z } from 'zod'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import { isLsn, lsnValue } from '@salvor/shared/vocabulary/lsn'
import {
  isSegmentSize,
  parseWalName,
  segmentAt,
  segmentStart,
  timelineName,
  WAL_KINDS,
  type WalFile,
} from '@salvor/shared/vocabulary/wal'
import { readDocument, type Signed, signDocument } from './canonical-json.ts'
import { InstantText, ShortText, SourceName } from './manifest.ts'
import { pick } from './pick.ts'
import { contentFault, PIECE_CONTENT } from './piece-content.ts'
import { parseWalDocumentKey, walFilenameFits } from './wal-layout.ts'

export const MAX_RESTORE_POINTS = 64
const LsnText = z.string().refine(isLsn)

/** docs/format.md section 13, without `signature`. */
export const WalDocument = z.strictObject({
  format_version: z.literal(1),
  tool: z.strictObject({ name: ShortText, version: ShortText }),
  id: z.uuid(),
  source: SourceName,
  kind: z.enum(WAL_KINDS),
  name: ShortText,
  system_id: z
    .string()
    .regex(/^\d{1,20}$/)
    .nullable(),
  timeline: z.int().min(1).max(0xffff_ffff),
  segment_size: z.int().refine(isSegmentSize).nullable(),
  start_lsn: LsnText.nullable(),
  end_lsn: LsnText.nullable(),
  current_at: InstantText.nullable(),
  first_commit_at: InstantText.nullable(),
  last_commit_at: InstantText.nullable(),
  last_commit_lsn: LsnText.nullable(),
  restore_points: z
    .array(z.strictObject({ name: z.string().max(256), lsn: LsnText, at: InstantText }))
    .max(MAX_RESTORE_POINTS),
  timestamp: InstantText,
  filename: ShortText,
  ...PIECE_CONTENT,
})
export type WalDocument = z.infer<typeof WalDocument>

export function serializeWalDocument(document: WalDocument, keyring: KeyRing): Buffer {
  return signDocument(WalDocument, document, keyring)
}

/** A document is believed when this returns: canonical, signed, at the key that its members give, and free of contradictions. */
export function parseWalDocument(file: Uint8Array, key: string, keyring: KeyRing): Signed<WalDocument> {
  const signed = readDocument(WalDocument, file, key, keyring, 'ARTIFACT_CORRUPT')
  const reason = misplaced(signed.body, key) ?? contradiction(signed.body)
  if (reason) throw new SalvorError('ARTIFACT_CORRUPT', { key, reason, source: signed.body.source })
  return signed
}

function misplaced(document: WalDocument, key: string): string | null {
  const place = parseWalDocumentKey(key)
  if (place?.source !== document.source || place.name !== document.name) return 'it belongs to another piece of WAL'
  const { filename, name, encryption } = document
  return walFilenameFits(filename, name, encryption !== null) ? null : 'filename is not the name of its content'
}

function contradiction(document: WalDocument): string | null {
  const { kind, name, timeline } = document
  const parsed = parseWalName(name)
  if (parsed?.kind !== kind || parsed.timeline !== timelineName(timeline)) return 'its name contradicts its kind'
  if (!rangeFits(document)) return 'its range contradicts its name'
  return contentFault(document)
}

function rangeFits({ kind, name, timeline, segment_size, start_lsn, end_lsn, source_bytes }: WalDocument): boolean {
  const { segment, end: namedEnd } = parseWalName(name)!
  if (kind === 'history' || kind === 'label') return start_lsn === null && end_lsn === null
  if (segment === null || segment_size === null || start_lsn === null || end_lsn === null) return false
  const [first, start, end] = [segmentStart(segment, segment_size), lsnValue(start_lsn), lsnValue(end_lsn)]
  const within = first !== null && start >= first && start < end && end <= first + BigInt(segment_size)
  if (!within || end - start !== BigInt(source_bytes) || segmentAt(timeline, start, segment_size) !== segment)
    return false
  if (kind === 'tail') return BigInt(`0x${namedEnd}`) === end
  return start === first && source_bytes === segment_size
}

/** Members that a document and the catalog's row share. */
const SHARED = [
  'source',
  'name',
  'kind',
  'system_id',
  'timeline',
  'segment_size',
  'start_lsn',
  'end_lsn',
  'current_at',
  'first_commit_at',
  'last_commit_at',
  'last_commit_lsn',
  'restore_points',
  'size_bytes',
  'source_bytes',
] as const satisfies readonly (keyof WalDocument & keyof WalFile)[]

/** The catalog's row of a piece that was just written or found in a store. */
export function walFileOf(document: WalDocument, documentSha256: string): WalFile {
  return { ...pick(document, SHARED), document_sha256: documentSha256, stored_at: document.timestamp }
}
