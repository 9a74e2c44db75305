import { instantOf, type Instant } from '@salvor/shared/vocabulary/instant'

/** What is looked for in the WAL, told when the record's last byte has come. Positions are those of its first byte. */
export interface RecordVisitor {
  /** A transaction's end. */
  commit(at: Instant, position: bigint, xid: number): void
  restorePoint(name: string, at: Instant, position: bigint): void
}

const BLOCK = 8192
const SHORT_HEADER = 24
const LONG_HEADER = 40
const CONTINUES = 0x0001
const OVERWRITES = 0x0008
const RECORD_HEADER = 24
/** Enough of a record for what is read from it: headers of its parts, a time, a name of 64 bytes. */
const LOOKED_AT = RECORD_HEADER + 13 + 8 + 64
const XLOG = { id: 0, switch: 0x40, restorePoint: 0x70 } as const
const XACT = { id: 1, operation: 0x70, commit: 0x00, commitPrepared: 0x30 } as const
const POSTGRES_EPOCH = 946_684_800_000_000n

/**
 * Reads the records of a WAL that begins at a segment's first byte and goes on without a hole (PostgreSQL 13 to 18, little-endian,
 * blocks of 8 KiB). Looks at the headers, opens commits and restore points, and steps over everything else.
 */
export class WalRecords {
  readonly #visitor: RecordVisitor
  readonly #segmentSize: number
  #position: number
  readonly #page = Buffer.alloc(LONG_HEADER)
  readonly #record = Buffer.alloc(LOOKED_AT)
  #filled = 0
  #wanted = RECORD_HEADER
  #recordAt = 0
  /** Bytes of records that are stepped over. */
  #skip = 0
  /** Told once its record is whole, which is when no more than `padding` is left to step over. */
  #found: { readonly tell: () => void; readonly padding: number } | null = null
  #synced = false

  constructor(start: bigint, segmentSize: number, visitor: RecordVisitor) {
    this.#position = Number(start)
    this.#segmentSize = segmentSize
    this.#visitor = visitor
  }

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
    if (this.#filled === RECORD_HEADER && length > RECORD_HEADER && this.#isLookedAt()) {
      this.#wanted = Math.min(length, LOOKED_AT)
      return
    }
    const tell = this.#filled > RECORD_HEADER ? this.#opened(Math.min(length, LOOKED_AT)) : null
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

  #isLookedAt(): boolean {
    const [info, manager] = [this.#record[16]! & 0xf0, this.#record[17]!]
    if (manager === XLOG.id) return info === XLOG.restorePoint
    const operation = info & XACT.operation
    return manager === XACT.id && (operation === XACT.commit || operation === XACT.commitPrepared)
  }

  /** What there is to tell of the record at hand. */
  #opened(end: number): (() => void) | null {
    const data = mainData(this.#record, end)
    if (data === null || data + 8 > end) return null
    const at = instantOf(this.#record.readBigInt64LE(data) + POSTGRES_EPOCH)
    const position = BigInt(this.#recordAt)
    if (this.#record[17] === XACT.id) {
      const xid = this.#record.readUInt32LE(4)
      return () => this.#visitor.commit(at, position, xid)
    }
    const bytes = this.#record.subarray(data + 8, end)
    const stop = bytes.indexOf(0)
    const name = bytes.toString('utf8', 0, stop === -1 ? bytes.length : stop)
    return () => this.#visitor.restorePoint(name, at, position)
  }
}

const aligned = (length: number): number => Math.ceil(length / 8) * 8

const PART = { short: 255, long: 254, origin: 253, topTransaction: 252 } as const

/** Where a record's main data begin, behind the headers of its parts; null where that is not among the first bytes. */
function mainData(record: Buffer, end: number): number | null {
  for (let at = RECORD_HEADER; at < end;) {
    const part = record[at]
    if (part === PART.short) return at + 2
    if (part === PART.long) return at + 5
    if (part === PART.origin) at += 3
    else if (part === PART.topTransaction) at += 5
    else return null
  }
  return null
}
