import { Readable } from 'node:stream'
import zlib from 'node:zlib'
import type { ArtifactIndex } from './frame-table.ts'
import { plainLength } from './frame-table.ts'
import { asHex } from './hash.ts'

/** The members of a manifest that its index repeats or is checked against. */
export interface IndexedArtifact {
  readonly id: string
  readonly source_bytes: number
  readonly size_bytes: number
  readonly frame_bytes: number
  readonly frames: number
  readonly segments: number
  readonly segment_bytes: number
  readonly encrypted: boolean
}

const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = zlib.constants
const BATCH_LINES = 1024
/** Longer lines are refused: the longest that a writer makes is the header's. */
export const MAX_INDEX_LINE = 256

export function indexHeader(artifact: IndexedArtifact): string {
  const { id, frame_bytes, segments, frames } = artifact
  return JSON.stringify({ format: 'salvor-index', version: 1, id, frame_bytes, segments, frames })
}

/**
 * The index file of docs/format.md section 4 in pieces of bounded size. One zstd frame: Node 24 reads several in a row wrongly, it may
 * stop after the first without an error.
 */
export function encodeIndex(artifact: IndexedArtifact, index: ArtifactIndex): AsyncIterable<Uint8Array> {
  const params = { [ZSTD_c_compressionLevel]: 1, [ZSTD_c_checksumFlag]: 1 }
  const plain = Readable.from(batches(indexLines(artifact, index)), { objectMode: false })
  return plain.compose<zlib.ZstdCompress>(zlib.createZstdCompress({ params }))
}

function* batches(lines: Iterable<string>): Generator<Buffer> {
  let batch: string[] = []
  for (const line of lines) {
    batch.push(line)
    if (batch.length < BATCH_LINES) continue
    yield Buffer.from(`${batch.join('\n')}\n`)
    batch = []
  }
  if (batch.length > 0) yield Buffer.from(`${batch.join('\n')}\n`)
}

export function* indexLines(artifact: IndexedArtifact, { frames, segments }: ArtifactIndex): Generator<string> {
  yield indexHeader(artifact)
  for (const { offset, stored, iv, tag } of segments)
    yield JSON.stringify([offset, stored, hexOrNull(iv), hexOrNull(tag)])
  for (let n = 0; n < frames.count; n++)
    yield `[${frames.stored(n)},${plainLength(n, artifact)},"${asHex(frames.sha256(n))}"]`
}

function hexOrNull(bytes: Uint8Array | null): string | null {
  return bytes && asHex(bytes)
}
