import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import type { Store } from '@salvor/shared/ports/store'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { CompressionChoice } from '@salvor/shared/vocabulary/source'
import { ArtifactOutput, type StoredArtifact } from './artifact-output.ts'
import { FramePool } from './frame-pool.ts'
import { FrameSink } from './frame-sink.ts'
import { countProgress } from './progress.ts'
import { finishObject } from './put-object.ts'

export interface ArtifactRequest {
  readonly store: Store
  readonly key: string
  readonly source: string
  readonly compression: CompressionChoice
  readonly threads: number
  readonly dataKey: Uint8Array | null
  readonly frameBytes: number
  readonly segmentBytes: number
  readonly onProgress: (progress: RunProgress) => void
}

export interface WrittenArtifact extends StoredArtifact {
  readonly source_bytes: number
  readonly facts: SnapshotFacts
}

/** Pushes a snapshot into the sink. Null, with nothing pushed: there is nothing to store. */
export type Take = (sink: SnapshotSink) => Promise<SnapshotFacts | null>

/** Takes a snapshot into one object; null where there was nothing to store. Threads and slots live as long as this call; a failure leaves nothing readable. */
export async function writeArtifact(
  request: ArtifactRequest,
  take: Take,
  signal: AbortSignal,
): Promise<WrittenArtifact | null> {
  const { store, compression, threads, dataKey, frameBytes, segmentBytes } = request
  await using pool = FramePool.open({ threads, compression, frameBytes })
  const writer = await store.create(request.key, { hashed: true }, signal)
  const output = new ArtifactOutput({ pool, writer, dataKey, segmentBytes, onFrame: watch(request, signal) })
  try {
    const sink = new FrameSink(pool, output, frameBytes, request.source)
    const facts = await take(sink)
    if (facts === null) {
      await writer.abort()
      return null
    }
    await sink.end()
    const stored = await output.end()
    await finishObject(store, writer, stored.size_bytes, stored.checksum_sha256)
    return { ...stored, source_bytes: sink.bytes, facts }
  } catch (error) {
    output.failure ??= error
    await output.settled()
    await writer.abort()
    throw error
  }
}

/** Counts plain bytes whose frames are with the store; throws once the signal is pulled, which ends the artifact. */
function watch(request: ArtifactRequest, signal: AbortSignal): (plainBytes: number) => void {
  const count = countProgress('copying', null, request.onProgress)
  return (plainBytes) => {
    if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
    count(plainBytes)
  }
}
