import { RECORD_HEADER, RecordReader } from '../wal/record-reader.ts'

/** A page that a record changes, or only locks, and that its redo reads as it is. */
export interface BlockReference {
  readonly tablespace: number
  readonly database: number
  readonly relation: number
  readonly fork: number
  readonly block: number
}

/** Of a page of 13 or 14; later servers changed what the bits of an image mean. */
const LAST_OLD_MAGIC = 0xd10d
const MOST_BLOCKS = 32
/** Enough for the headers of all blocks that a record may have. */
const LOOKED_AT = RECORD_HEADER + (MOST_BLOCKS + 1) * 28 + 16
const BLOCK = { fork: 0x0f, image: 0x10, initialized: 0x40, sameRelation: 0x80 } as const
const LOCATION = 12

interface ImageBits {
  readonly hole: number
  readonly compressed: number
  readonly applied: number
}
const OLD_BITS: ImageBits = { hole: 0x01, compressed: 0x02, applied: 0x04 }
const BITS: ImageBits = { hole: 0x01, compressed: 0x1c, applied: 0x02 }

/** Tells of all pages that redo wants to find as they were: those that the record neither brings whole nor makes anew. */
export class BlockReferences extends RecordReader {
  readonly #tell: (reference: BlockReference) => void
  readonly #bits: ImageBits

  /** `magic`: the first two bytes of the WAL's pages. */
  constructor(start: bigint, segmentSize: number, magic: number, tell: (reference: BlockReference) => void) {
    super(start, segmentSize, LOOKED_AT)
    this.#bits = magic <= LAST_OLD_MAGIC ? OLD_BITS : BITS
    this.#tell = tell
  }

  protected override isLookedAt(): boolean {
    return true
  }

  protected override opened(record: Buffer, end: number): null {
    let location = -1
    let at = RECORD_HEADER
    // Headers of other parts have numbers above; the main data's is the last.
    while (at + 4 <= end && record[at]! <= MOST_BLOCKS) {
      const flags = record[at + 1]!
      at += 4
      let applied = false
      if (flags & BLOCK.image) {
        if (at + 5 > end) return null
        const info = record[at + 4]!
        applied = (info & this.#bits.applied) !== 0
        at += (info & this.#bits.hole) !== 0 && (info & this.#bits.compressed) !== 0 ? 7 : 5
      }
      if (!(flags & BLOCK.sameRelation)) {
        location = at
        at += LOCATION
      }
      if (location < 0 || at + 4 > end) return null
      if (!applied && !(flags & BLOCK.initialized)) this.#found(record, location, flags & BLOCK.fork, at)
      at += 4
    }
    return null
  }

  #found(record: Buffer, location: number, fork: number, at: number): void {
    const [tablespace, database] = [record.readUInt32LE(location), record.readUInt32LE(location + 4)]
    this.#tell({
      tablespace,
      database,
      relation: record.readUInt32LE(location + 8),
      fork,
      block: record.readUInt32LE(at),
    })
  }
}
