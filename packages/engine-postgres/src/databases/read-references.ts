import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { segmentStart } from '@salvor/shared/vocabulary/wal'
import { type BlockReference, BlockReferences } from './block-references.ts'

interface Segment {
  readonly name: string
  readonly timeline: number
  readonly start: bigint
}

const CHUNK = 1024 * 1024

/** Whole segments, in the order of timelines and positions. */
export async function segmentsIn(folder: string, segmentSize: number): Promise<readonly Segment[]> {
  return (await readdir(folder)).sort().flatMap((name): Segment[] => {
    const start = /^[0-9A-F]{24}$/.test(name) ? segmentStart(name, segmentSize) : null
    return start === null ? [] : [{ name, timeline: Number.parseInt(name.slice(0, 8), 16), start }]
  })
}

/** Reads all WAL of a folder, of whichever timeline. */
export async function readReferences(
  folder: string,
  segmentSize: number,
  tell: (reference: BlockReference) => void,
  signal: AbortSignal,
): Promise<void> {
  const segments = await segmentsIn(folder, segmentSize)
  const buffer = Buffer.allocUnsafe(CHUNK)
  const push = async (references: BlockReferences | null, { name, start }: Segment): Promise<BlockReferences> => {
    await using file = await open(join(folder, name))
    let reader = references
    for (let bytes; (bytes = (await file.read(buffer, 0, CHUNK)).bytesRead) > 0;) {
      signal.throwIfAborted()
      reader ??= new BlockReferences(start, segmentSize, buffer.readUInt16LE(0), tell)
      reader.push(buffer.subarray(0, bytes))
    }
    return reader ?? new BlockReferences(start, segmentSize, 0, tell)
  }
  let reader: BlockReferences | null = null
  let last: Segment | null = null
  for (const segment of segments) {
    const follows = last?.timeline === segment.timeline && last.start + BigInt(segmentSize) === segment.start
    if (!follows) {
      // A record may have begun in the segment before, on the timeline that was left.
      const before = segments.findLast(
        ({ start, timeline }) => start + BigInt(segmentSize) === segment.start && timeline < segment.timeline,
      )
      reader = before ? await push(null, before) : null
    }
    reader = await push(reader, segment)
    last = segment
  }
}
