import { z } from 'zod'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import { CHANGE_METHODS, changeSetName, STANDS_ON, type ChangeSetFile } from '@salvor/shared/vocabulary/change-set'
import { readDocument, type Signed, signDocument } from './canonical-json.ts'
import { changeFilenameFits, parseChangeDocumentKey } from './change-layout.ts'
import { InstantText, Sha256, ShortText, SourceName } from './manifest.ts'
import { pick } from './pick.ts'
import { contentFault, PIECE_CONTENT } from './piece-content.ts'

/** docs/format.md section 16, without `signature`. */
export const ChangeDocument = z.strictObject({
  format_version: z.literal(1),
  tool: z.strictObject({ name: ShortText, version: ShortText }),
  id: z.uuid(),
  source: SourceName,
  base: z.uuid(),
  name: ShortText,
  method: z.enum(CHANGE_METHODS),
  stands_on: z.enum(STANDS_ON),
  previous: Sha256.nullable(),
  /** Of compacted sets alone. */
  brings_state_of: Sha256.optional(),
  lost: z.string().max(300).nullable(),
  from_at: InstantText,
  to_at: InstantText,
  page_size: z
    .int()
    .min(512)
    .max(65_536)
    .refine((bytes) => Number.isInteger(Math.log2(bytes))),
  page_count: z.int().min(0).max(0xffff_fffe),
  pages: z.int().min(0),
  state_sha256: Sha256.nullable(),
  position: z.string().max(200).nullable(),
  timestamp: InstantText,
  filename: ShortText,
  ...PIECE_CONTENT,
})
export type ChangeDocument = z.infer<typeof ChangeDocument>

export function serializeChangeDocument(document: ChangeDocument, keyring: KeyRing): Buffer {
  return signDocument(ChangeDocument, document, keyring)
}

/** A document is believed when this returns: canonical, signed, at the key that its members give, and free of contradictions. */
export function parseChangeDocument(file: Uint8Array, key: string, keyring: KeyRing): Signed<ChangeDocument> {
  const signed = readDocument(ChangeDocument, file, key, keyring, 'ARTIFACT_CORRUPT')
  const reason = misplaced(signed.body, key) ?? contradiction(signed.body)
  if (reason) throw new SalvorError('ARTIFACT_CORRUPT', { key, reason, source: signed.body.source })
  return signed
}

function misplaced({ source, base, name, filename, encryption }: ChangeDocument, key: string): string | null {
  const place = parseChangeDocumentKey(key)
  if (place?.source !== source || place.base !== base || place.name !== name) return 'it belongs to another change set'
  return changeFilenameFits(filename, name, encryption !== null) ? null : 'filename is not the name of its content'
}

function contradiction(document: ChangeDocument): string | null {
  const { name, from_at, to_at, stands_on, previous, pages, page_count } = document
  if (name !== changeSetName(document) || from_at > to_at) return 'its name contradicts its instants'
  if (stands_on === 'previous' && previous === null) return 'it stands on nothing'
  if (pages > page_count) return 'it has more pages than the database'
  return contentFault(document)
}

/** Members that a document and the catalog's row share. */
const SHARED = [
  'source',
  'base',
  'name',
  'method',
  'stands_on',
  'previous',
  'lost',
  'from_at',
  'to_at',
  'page_size',
  'page_count',
  'pages',
  'state_sha256',
  'position',
  'size_bytes',
  'source_bytes',
] as const satisfies readonly (keyof ChangeDocument & keyof ChangeSetFile)[]

/** The catalog's row of a set that was just written or found in a store. */
export function changeSetFileOf(document: ChangeDocument, documentSha256: string): ChangeSetFile {
  const { brings_state_of = null, timestamp: stored_at } = document
  return { ...pick(document, SHARED), document_sha256: documentSha256, brings_state_of, stored_at }
}
