const BLOCK = 8192
const SHORT_HEADER = 24
const LONG_HEADER = 40
const CONTINUES = 0x0001
const OVERWRITES = 0x0008
export const RECORD_HEADER = 24
export const XLOG = { id: 0, switch: 0x40, restorePoint: 0x70 } as const

/**
 * Cuts a WAL into its records: one that begins at a segment's first byte and goes on without a hole (PostgreSQL 13 to 18, little-endian,
 * blocks of 8 KiB). What is of interest looks at the beginning of a record; everything else is stepped over.
 */
export abstract class RecordReader {
  readonly #segmentSize: number
  #position: number
  readonly #page = Buffer.alloc(LONG_HEADER)
  readonly #record: Buffer
  #filled = 0
  #wanted = RECORD_HEADER
  #recordAt = 0
  /** Bytes of records that are stepped over. */
  #skip = 0
  /** Told once its record is whole, which is when no more than `padding` is left to step over. */
  #found: { readonly tell: () => void; readonly padding: number } | null = null
  #synced = false

  /** `most`: bytes of a record's beginning that may be looked at. */
  constructor(start: bigint, segmentSize: number, most: number) {
    this.#position = Number(start)
    this.#segmentSize = segmentSize
    this.#record = Buffer.alloc(most)
  }

  /** Of a record's header: whether more of it is wanted. */
  protected abstract isLookedAt(header: Buffer): boolean
  /** What there is to tell of a record, of which `end` bytes are there, once it is whole; null: nothing. */
  protected abstract opened(record: Buffer, end: number, position: bigint): (() => void) | null

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const inPage = this.#position % BLOCK
      const header = this.#position - inPage === this.#segmentStart() ? LONG_HEADER : SHORT_HEADER
      const left = chunk.length - at
      const taken =
        inPage < header
          ? this.#takeHeader(chunk, at, inPage, header, left)
          : this.#takeBody(chunk, at, Math.min(BLOCK - inPage, left))
      this.#position += taken
      at += taken
    }
  }

  #segmentStart(): number {
    return this.#position - (this.#position % this.#segmentSize)
  }

  #takeHeader(chunk: Uint8Array, at: number, inPage: number, header: number, left: number): number {
    const count = Math.min(header - inPage, left)
    this.#page.set(chunk.subarray(at, at + count), inPage)
    if (inPage + count === header) this.#openPage()
    return count
  }

  #openPage(): void {
    const info = this.#page.readUInt16LE(2)
    if (!this.#synced) {
      this.#synced = true
      this.#skip = info & CONTINUES ? aligned(this.#page.readUInt32LE(16)) : 0
    } else if (info & OVERWRITES) {
      // The record at hand was never finished: the server broke off, and began anew here.
      this.#skip = 0
      this.#found = null
      this.#restart()
    }
  }

  #takeBody(chunk: Uint8Array, at: number, room: number): number {
    if (this.#skip > 0) {
      const count = Math.min(this.#skip, room)
      this.#skip -= count
      this.#tell()
      return count
    }
    if (this.#filled === 0) this.#recordAt = this.#position
    const count = Math.min(this.#wanted - this.#filled, room)
    this.#record.set(chunk.subarray(at, at + count), this.#filled)
    this.#filled += count
    if (this.#filled === this.#wanted) this.#next(count)
    return count
  }

  #tell(): void {
    if (this.#found === null || this.#skip > this.#found.padding) return
    this.#found.tell()
    this.#found = null
  }

  #restart(): void {
    this.#filled = 0
    this.#wanted = RECORD_HEADER
  }

  /** The header is there, or all that is looked at. `count`: bytes that are about to be counted into the position. */
  #next(count: number): void {
    const length = this.#record.readUInt32LE(0)
    if (length < RECORD_HEADER) return this.#skipSegment(count)
    if (this.#filled === RECORD_HEADER && length > RECORD_HEADER && this.isLookedAt(this.#record)) {
      this.#wanted = Math.min(length, this.#record.length)
      return
    }
    const tell =
      this.#filled > RECORD_HEADER
        ? this.opened(this.#record, Math.min(length, this.#record.length), BigInt(this.#recordAt))
        : null
    if (tell) this.#found = { tell, padding: aligned(length) - length }
    const [info, manager] = [this.#record[16]! & 0xf0, this.#record[17]!]
    this.#skip = aligned(length) - this.#filled
    this.#restart()
    this.#tell()
    if (manager === XLOG.id && info === XLOG.switch) this.#skipSegment(count)
  }

  /** Nothing comes in this segment any more. Page headers on the way are not part of what is skipped. */
  #skipSegment(count: number): void {
    this.#restart()
    const end = this.#segmentStart() + this.#segmentSize
    const position = this.#position + count
    const pages = Math.floor((end - position) / BLOCK)
    this.#skip = end - position - pages * SHORT_HEADER
  }
}

export const aligned = (length: number): number => Math.ceil(length / 8) * 8
