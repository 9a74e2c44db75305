import { hash } from 'node:crypto'
import type { Store } from '@salvor/shared/ports/store'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { openFeed } from './byte-feed.ts'
import type { CheckList } from './check-list.ts'
import { FrameFailure, FramePool } from './frame-pool.ts'
import type { ArtifactIndex } from './frame-table.ts'
import { StreamHash } from './hash.ts'
import type { Manifest } from './manifest.ts'
import { artifactKeyOf, corrupt, statArtifact } from './open-backup.ts'
import { countProgress } from './progress.ts'
import { type FrameInFlight, frameReason, StoredFrames } from './stored-frames.ts'

const CHUNK_BYTES = 1 << 20

export interface ArtifactUnderInspection {
  readonly store: Store
  readonly manifest: Manifest
  readonly index: ArtifactIndex | null
  readonly onProgress: (progress: RunProgress) => void
}

/** Size and SHA-256 of the artifact. When they differ, the index tells where the first damage lies. */
export async function checkArtifactBytes(
  list: CheckList,
  request: ArtifactUnderInspection,
  signal: AbortSignal,
): Promise<void> {
  const { store, manifest, index } = request
  const key = artifactKeyOf(manifest)
  await list.run('artifact-checksum', async () => {
    const { size } = await statArtifact(manifest, store, signal)
    const sha256 = await hashArtifact(request, size, signal)
    if (size === manifest.size_bytes && sha256 === manifest.checksum_sha256)
      return { value: size, detail: `${size} bytes have the SHA-256 of the manifest` }
    const where = index && (await firstDamage(store, manifest, index, size, signal))
    throw corrupt(manifest, key, [sizeReason(size, manifest), where].filter(Boolean).join('; '))
  })
}

async function hashArtifact(
  { store, manifest, onProgress }: ArtifactUnderInspection,
  size: number,
  signal: AbortSignal,
): Promise<string> {
  await using feed = await openFeed(store, artifactKeyOf(manifest), size, signal)
  const whole = new StreamHash()
  const count = countProgress('checking', size, onProgress)
  const buffer = new Uint8Array(Math.min(CHUNK_BYTES, size))
  while (whole.bytes < size) {
    const chunk = buffer.subarray(0, size - whole.bytes)
    if (!(await feed.take(chunk)))
      throw corrupt(manifest, artifactKeyOf(manifest), 'it became shorter while it was read')
    whole.update(chunk)
    count(chunk.length)
  }
  return whole.hex()
}

/** Every frame decrypted and decompressed, every tag, and the checksum, in one pass. */
export async function decodeArtifact(
  list: CheckList,
  request: ArtifactUnderInspection & {
    readonly index: ArtifactIndex
    readonly dataKey: Uint8Array | null
    readonly threads: number
  },
  signal: AbortSignal,
): Promise<void> {
  const { store, manifest, dataKey, threads } = request
  const key = artifactKeyOf(manifest)
  const size = await list.run('artifact', async () => {
    const { size } = await statArtifact(manifest, store, signal)
    return { value: size, detail: `${size} bytes` }
  })
  if (size === null) return
  if (size !== manifest.size_bytes) {
    await checkArtifactBytes(list, request, signal)
    return list.add('frames', false, 'not decoded: the artifact has another size')
  }
  const { compression, frame_bytes: frameBytes } = manifest
  await using pool = FramePool.open({ threads, compression, frameBytes })
  if (dataKey) pool.memory.key.set(dataKey)
  const frames = new StoredFrames({ ...request, pool, checksum: true })
  await list.run('frames', async () => {
    const bad = await badFrames(frames, pool, request, signal)
    if (bad.length > 0)
      throw corrupt(manifest, key, `${bad.length} of ${manifest.frames} frames are bad: ${summary(bad)}`)
    return { value: true, detail: `${manifest.frames} frames open, ${manifest.source_bytes} bytes` }
  })
  if (dataKey) {
    const { badTags } = frames
    const detail =
      badTags.length > 0
        ? `segments whose tag does not fit: ${summary(badTags.map(String))}`
        : `${manifest.segments} fit`
    list.add('tags', badTags.length === 0, detail)
  }
  const same = frames.checksum() === manifest.checksum_sha256
  list.add(
    'artifact-checksum',
    same,
    same ? `${size} bytes have the SHA-256 of the manifest` : sizeReason(size, manifest),
  )
}

async function badFrames(
  frames: StoredFrames,
  pool: FramePool,
  { manifest, onProgress }: ArtifactUnderInspection,
  signal: AbortSignal,
): Promise<string[]> {
  const bad: string[] = []
  const inFlight: FrameInFlight[] = []
  const count = countProgress('decoding', manifest.source_bytes, onProgress)
  const finishOldest = async () => {
    const oldest = inFlight.shift()!
    try {
      await oldest.done
    } catch (error) {
      if (!(error instanceof FrameFailure)) throw error
      bad.push(frameReason(error, oldest))
    }
    pool.release(oldest.slot)
    count(oldest.plain)
  }
  for await (const frame of frames.read(null, signal)) {
    inFlight.push(frame)
    if (inFlight.length === pool.slots - 1) await finishOldest()
  }
  while (inFlight.length > 0) await finishOldest()
  return bad
}

/** The first frame whose stored bytes are not those of the index. */
async function firstDamage(
  store: Store,
  manifest: Manifest,
  { frames }: ArtifactIndex,
  size: number,
  signal: AbortSignal,
): Promise<string> {
  await using feed = await openFeed(store, artifactKeyOf(manifest), size, signal)
  let offset = 0
  for (let frame = 0; frame < frames.count; frame++) {
    const bytes = new Uint8Array(frames.stored(frame))
    if (!(await feed.take(bytes))) return `frame ${frame} at offset ${offset} is cut off`
    if (!hash('sha256', bytes, 'buffer').equals(frames.sha256(frame)))
      return `frame ${frame} at offset ${offset} does not match the index`
    offset += bytes.length
  }
  return `every frame is good, the damage begins at offset ${offset}`
}

function sizeReason(size: number, manifest: Manifest): string {
  if (size !== manifest.size_bytes) return `it has ${size} bytes, the manifest says ${manifest.size_bytes}`
  return 'its SHA-256 is not that of the manifest'
}

function summary(items: readonly string[]): string {
  return items.length <= 5 ? items.join(', ') : `${items.slice(0, 5).join(', ')} and ${items.length - 5} more`
}
