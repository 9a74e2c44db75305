import { z } from 'zod'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import { isObjectKey } from '@salvor/shared/vocabulary/object-key'
import { type Backup, BACKUP_TYPES, RETENTION_CLASSES } from '@salvor/shared/vocabulary/backup'
import { MAX_DOCUMENT_BYTES, readDocument, signDocument, type Signer } from './canonical-json.ts'
import { MAX_FRAME_BYTES, MAX_SEGMENT_BYTES } from './frames.ts'
import { pick } from './pick.ts'
import { ARTIFACT_KINDS, artifactName, parseManifestKey, stemFits } from './layout.ts'

export const FORMAT_VERSION = 1
export const ShortText = z.string().max(1024)
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/)
export const InstantText = z.string().regex(/^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d{6}Z$/)
export const SourceName = z.string().max(800).refine(isObjectKey)
const bytes = z.int().min(0)

const EngineFacts = z
  .record(z.string().regex(/^[a-z][a-z0-9_]{0,62}$/), z.union([z.string(), z.number(), z.boolean(), z.null()]))
  .transform((facts) => Object.fromEntries(Object.entries(facts).sort(([a], [b]) => (a < b ? -1 : 1))))

/** Members in the order of the canonical form (docs/format.md section 7), without `signature`. */
export const Manifest = z.strictObject({
  format_version: z.literal(FORMAT_VERSION),
  tool: z.strictObject({ name: ShortText, version: ShortText }),
  id: z.uuid(),
  source: SourceName,
  engine: ShortText,
  type: z.enum(BACKUP_TYPES),
  retention_class: z.enum(RETENTION_CLASSES),
  filename: ShortText,
  timestamp: InstantText,
  consistent_at: InstantText,
  size_bytes: bytes,
  source_bytes: bytes,
  checksum_sha256: Sha256,
  source_db: ShortText,
  retention_until: InstantText.nullable(),
  parent: z.uuid().nullable(),
  duration_ms: bytes,
  compression: z.strictObject({ algorithm: z.enum(['zstd', 'gzip']), level: z.int().min(1).max(19) }),
  encryption: z
    .strictObject({
      algorithm: z.literal('aes-256-gcm'),
      key_commitment: Sha256,
      key_wrap: z.literal('rsa-oaep-sha256'),
    })
    .nullable(),
  frames: z.int().min(1),
  frame_bytes: z.int().min(1).max(MAX_FRAME_BYTES),
  segments: z.int().min(1),
  segment_bytes: z.int().min(1).max(MAX_SEGMENT_BYTES),
  index_sha256: Sha256,
  digests_sha256: Sha256.nullable(),
  recovery_sha256: Sha256,
  keys: ShortText.nullable(),
  engine_facts: EngineFacts,
  notices: z.array(z.string()),
})
export type Manifest = z.infer<typeof Manifest>

export function serializeManifest(manifest: Manifest, keyring: KeyRing): Buffer {
  const file = signDocument(Manifest, manifest, keyring)
  if (file.length > MAX_DOCUMENT_BYTES) throw new SalvorError('INTERNAL', { what: 'a manifest above 64 KiB' })
  return file
}

/** A manifest is believed when this returns: canonical, signed, and nowhere else than at the key and file name that its own members give. */
export function parseManifest(
  file: Uint8Array,
  key: string,
  keyring: KeyRing,
): { readonly manifest: Manifest; readonly signer: Signer; readonly signed_by: string; readonly sha256: string } {
  const { body, ...signed } = readDocument(Manifest, file, key, keyring, 'MANIFEST_INVALID')
  const reason = misplaced(body, key)
  if (reason) throw new SalvorError('MANIFEST_INVALID', { key, reason })
  return { manifest: body, ...signed }
}

/** The stem of a manifest that was believed. */
export function stemOfManifest(manifest: Pick<Manifest, 'filename'>): string {
  return manifest.filename.slice(0, manifest.filename.indexOf('.'))
}

function misplaced(manifest: Manifest, key: string): string | null {
  const place = parseManifestKey(key)
  if (place?.source !== manifest.source) return 'it belongs to another source'
  if (!stemFits(place.stem, manifest.type, manifest.timestamp)) return 'its name does not fit its type and timestamp'
  const encrypted = manifest.encryption !== null
  const names = ARTIFACT_KINDS.map((kind) => artifactName(place.stem, kind, manifest.compression.algorithm, encrypted))
  if (!names.includes(manifest.filename)) return 'filename is not the name of its artifact'
  if ((manifest.type === 'incremental') !== (manifest.parent !== null)) return 'incrementals have a parent, others none'
  if (manifest.keys !== (encrypted ? `${place.stem}.keys.*.json` : null)) return 'keys is not the name of its keys'
  const frames = Math.max(1, Math.ceil(manifest.source_bytes / manifest.frame_bytes))
  return manifest.frames === frames && manifest.segments <= frames ? null : 'its numbers contradict each other'
}

/** Members that a manifest and the catalog's row of its backup share. */
const SHARED = [
  'id',
  'source',
  'engine',
  'type',
  'retention_class',
  'filename',
  'timestamp',
  'consistent_at',
  'size_bytes',
  'source_bytes',
  'checksum_sha256',
  'source_db',
  'retention_until',
  'parent',
  'duration_ms',
] as const satisfies readonly (keyof Manifest & keyof Backup)[]

/** The catalog's row of a backup that was just written or found in a store. */
export function backupOf(manifest: Manifest, manifestSha256: string): Backup {
  const encrypted = manifest.encryption !== null
  return { ...pick(manifest, SHARED), state: 'completed', encrypted, manifest_sha256: manifestSha256 }
}
