import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { BackupType, RetentionClass } from '@salvor/shared/vocabulary/backup'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { CompressionChoice } from '@salvor/shared/vocabulary/source'
import { keyCommitment } from './encrypt.ts'
import { encodeIndex } from './index-file.ts'
import { FORMAT_VERSION, Manifest, serializeManifest, stemOfManifest } from './manifest.ts'
import { clipNotices, clipText } from './notices.ts'
import { pick } from './pick.ts'
import { type ChainLink, recoveryText } from './recovery.ts'
import { serializeWrappedKeys } from './wrapped-keys.ts'
import type { WrittenArtifact } from './write-artifact.ts'

export interface Described {
  readonly keyring: KeyRing
  readonly compression: CompressionChoice
  readonly engine: string
  readonly id: string
  readonly source: string
  readonly type: BackupType
  readonly retention_class: RetentionClass
  readonly retention_until: Instant | null
  readonly timestamp: Instant
  readonly parent: string | null
  readonly chain?: readonly ChainLink[]
  readonly tool_version: string
  readonly filename: string
  readonly frame_bytes: number
  readonly segment_bytes: number
}

type Rest = Pick<Manifest, 'index_sha256' | 'digests_sha256' | 'recovery_sha256' | 'duration_ms'>

/** The bytes of everything that lies beside an artifact, from what is known once the artifact is stored. */
export function describeBackup(request: Described, artifact: WrittenArtifact, dataKey: Uint8Array | null) {
  const stem = stemOfManifest(request)
  const known = knownMembers(request, artifact, dataKey)
  const indexed = { ...known, encrypted: dataKey !== null }
  const wrapped =
    dataKey && request.keyring.wrap(dataKey, request.source, request.retention_class).map((key) => ({ ...key }))
  const { id, source, retention_class } = request
  const { key_commitment } = known.encryption ?? {}
  const keyFile = wrapped && {
    format_version: 1 as const,
    id,
    source,
    retention_class,
    number: 1,
    key_commitment: key_commitment!,
    wrapped,
  }
  const facts = {
    manifest: known,
    segments: artifact.segments,
    chain: request.chain ?? [],
    keys: wrapped && { filename: `${stem}.keys.1.json`, wrapped },
  }
  return {
    index: () => encodeIndex(indexed, artifact),
    keyFile: keyFile && serializeWrappedKeys(keyFile, request.keyring),
    recovery: Buffer.from(recoveryText(facts)),
    manifest(rest: Rest): { readonly manifest: Manifest; readonly file: Buffer } {
      const manifest = Manifest.parse({ ...known, ...rest })
      return { manifest, file: serializeManifest(manifest, request.keyring) }
    },
  }
}

function knownMembers(
  request: Described,
  artifact: WrittenArtifact,
  dataKey: Uint8Array | null,
): Omit<Manifest, keyof Rest> {
  const { facts } = artifact
  const encryption = dataKey && {
    algorithm: 'aes-256-gcm' as const,
    key_commitment: keyCommitment(dataKey, request.id),
    key_wrap: 'rsa-oaep-sha256' as const,
  }
  return {
    ...pick(request, ['id', 'source', 'engine', 'type', 'retention_class', 'retention_until', 'parent']),
    ...pick(request, ['filename', 'timestamp', 'frame_bytes', 'segment_bytes']),
    ...pick(artifact, ['size_bytes', 'source_bytes', 'checksum_sha256']),
    format_version: FORMAT_VERSION,
    tool: { name: 'salvor', version: request.tool_version },
    consistent_at: facts.consistent_at,
    source_db: clipText(facts.source_db, 1024),
    compression: pick(request.compression, ['algorithm', 'level']),
    encryption,
    frames: artifact.frames.count,
    segments: artifact.segments.length,
    keys: encryption && `${stemOfManifest(request)}.keys.*.json`,
    engine_facts: facts.engine_facts,
    notices: clipNotices(facts.notices),
  }
}
