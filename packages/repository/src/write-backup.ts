import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { Backup, BackupType, RetentionClass } from '@salvor/shared/vocabulary/backup'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { CompressionChoice } from '@salvor/shared/vocabulary/source'
import { storeDigests } from './digests-file.ts'
import { digestsToStore, type ParentDigests } from './digests-to-store.ts'
import { newDataKey } from './encrypt.ts'
import { FRAME_BYTES, MAX_SEGMENT_BYTES } from './frames.ts'
import { type ArtifactKind, artifactName, type BackupKeys, backupKeys, digestsKey, stemOf } from './layout.ts'
import { backupOf } from './manifest.ts'
import { putObject } from './put-object.ts'
import { RECOVER_SCRIPT } from './recover-script.ts'
import type { ChainLink } from './recovery.ts'
import { describeBackup } from './side-objects.ts'
import { type Take, writeArtifact } from './write-artifact.ts'

const CLEAN_UP_MS = 60_000

export interface BackupRequest {
  readonly store: Store
  readonly keyring: KeyRing
  readonly encrypt: boolean
  /** The source says `encryption: none`: a remote store may then take a plain artifact. */
  readonly allowPlain?: boolean
  readonly compression: CompressionChoice
  /** Compression threads. */
  readonly threads: number
  readonly artifact: ArtifactKind
  readonly engine: string
  readonly id: string
  readonly source: string
  readonly type: BackupType
  readonly retention_class: RetentionClass
  readonly retention_until: Instant | null
  readonly timestamp: Instant
  /** From `stemOf`, of this or a later second; default: of `timestamp`. */
  readonly filename_stem?: string
  readonly parent: string | null
  /** Its digests: those of an incremental are stored as a patch on them, where that is shorter. Absent: whole. */
  readonly parent_digests?: ParentDigests | undefined
  /** Of an incremental: the backups it stands on, the full first; for its RECOVERY.md. */
  readonly chain?: readonly ChainLink[]
  readonly tool_version: string
  readonly monotonicMs: () => number
  readonly onProgress: (progress: RunProgress) => void
  /** Smaller ones for tests. */
  readonly segment_bytes?: number
  readonly frame_bytes?: number
}

export interface WrittenBackup {
  readonly backup: Backup
  readonly notices: readonly string[]
}

/**
 * Takes one backup into one store: artifact, index, keys, digests, RECOVERY.md, manifest, each durable before the next. Without the
 * manifest there is no backup, so a crash at any point leaves none, or a whole one. A failure takes back what was finished, where
 * the store lets this identity delete; what stays has no manifest. STORE_CONFLICT, before the source is read: the name is
 * taken, try the next second. Null: `take` gave null, there was nothing to store, and nothing was.
 */
export function writeBackup(
  request: BackupRequest,
  take: (sink: SnapshotSink) => Promise<SnapshotFacts>,
  signal: AbortSignal,
): Promise<WrittenBackup>
export function writeBackup(request: BackupRequest, take: Take, signal: AbortSignal): Promise<WrittenBackup | null>
export async function writeBackup(
  request: BackupRequest,
  take: Take,
  signal: AbortSignal,
): Promise<WrittenBackup | null> {
  const { store, source, encrypt } = request
  if (store.capabilities.remote && !encrypt && !request.allowPlain)
    throw new SalvorError('STORE_REFUSES_PLAIN', { store: store.name, source })
  const stem = request.filename_stem ?? stemOf(request.type, request.timestamp)
  const filename = artifactName(stem, request.artifact, request.compression.algorithm, encrypt)
  const keys = backupKeys(source, stem)
  const artifactKey = `${source}/${filename}`
  const digests = digestsKey(source, stem, encrypt)
  await assertNameIsFree(store, [artifactKey, digests, ...namesOf(keys)], signal)
  const written: string[] = []
  const dataKey = encrypt ? newDataKey() : null
  try {
    return await writeAll(request, { keys, artifactKey, digests, filename, dataKey, written }, take, signal)
  } catch (error) {
    await takeBack(store, keys.manifest, written, error)
    throw error
  } finally {
    dataKey?.fill(0)
  }
}

interface Attempt {
  readonly keys: BackupKeys
  readonly artifactKey: string
  readonly digests: string
  readonly filename: string
  readonly dataKey: Buffer | null
  /** Keys that this attempt finished. */
  readonly written: string[]
}

async function writeAll(
  request: BackupRequest,
  { keys, artifactKey, digests, filename, dataKey, written }: Attempt,
  take: Take,
  signal: AbortSignal,
): Promise<WrittenBackup | null> {
  const {
    store,
    keyring,
    encrypt,
    id,
    monotonicMs,
    frame_bytes = FRAME_BYTES,
    segment_bytes = MAX_SEGMENT_BYTES,
  } = request
  const start = monotonicMs()
  const artifact = await writeArtifact(
    { ...request, key: artifactKey, dataKey, frameBytes: frame_bytes, segmentBytes: segment_bytes },
    take,
    signal,
  )
  if (!artifact) return null
  written.push(artifactKey)
  const description = describeBackup({ ...request, frame_bytes, segment_bytes, filename }, artifact, dataKey)
  const put = async (key: string, pieces: Parameters<typeof putObject>[2]) => {
    const sha256 = await putObject(store, key, pieces, signal)
    written.push(key)
    return sha256
  }
  const index_sha256 = await put(keys.index, description.index())
  if (dataKey) await put(`${keys.keysPrefix}1.json`, [description.keyFile!])
  const file = digestsToStore(artifact.facts, request)
  const digests_sha256 =
    file === null ? null : await storeDigests({ store, keyring, encrypt, id, key: digests }, file, signal)
  if (file !== null) written.push(digests)
  if (request.type === 'incremental') await put(keys.recoverScript, [RECOVER_SCRIPT])
  const recovery_sha256 = await put(keys.recovery, [description.recovery])
  const duration_ms = Math.max(0, Math.round(monotonicMs() - start))
  const { manifest, file: bytes } = description.manifest({ index_sha256, digests_sha256, recovery_sha256, duration_ms })
  const manifestSha256 = await put(keys.manifest, [bytes])
  return { backup: backupOf(manifest, manifestSha256), notices: artifact.facts.notices }
}

function namesOf(keys: BackupKeys): string[] {
  return [keys.manifest, keys.index, keys.recovery, keys.recoverScript, `${keys.keysPrefix}1.json`]
}

async function assertNameIsFree(store: Store, names: readonly string[], signal: AbortSignal): Promise<void> {
  const found = await Promise.all(names.map((key) => store.head(key, signal)))
  const taken = found.find((object) => object !== null)
  if (taken) throw new SalvorError('STORE_CONFLICT', { store: store.name, key: taken.key })
}

/**
 * Takes back what this attempt finished, where the store lets it. Nothing goes when a manifest lies under the name, or may lie
 * there, or another writer has it: then a whole backup may need these objects.
 */
async function takeBack(store: Store, manifestKey: string, written: readonly string[], error: unknown): Promise<void> {
  if (error instanceof SalvorError && error.code === 'STORE_CONFLICT') return
  const signal = AbortSignal.timeout(CLEAN_UP_MS)
  try {
    if (await store.head(manifestKey, signal)) return
    for (const key of written.toReversed()) await store.delete(key, signal)
  } catch {
    // Objects without a manifest are harmless; the error that matters is the attempt's own.
  }
}
