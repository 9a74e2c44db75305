import { instantOf, type Instant } from '@salvor/shared/vocabulary/instant'
import { RECORD_HEADER, RecordReader, XLOG } from './record-reader.ts'

/** What is looked for in the WAL, told when the record's last byte has come. Positions are those of its first byte. */
export interface RecordVisitor {
  /** A transaction's end. */
  commit(at: Instant, position: bigint, xid: number): void
  restorePoint(name: string, at: Instant, position: bigint): void
}

/** Enough of a record for what is read from it: headers of its parts, a time, a name of 64 bytes. */
const LOOKED_AT = RECORD_HEADER + 13 + 8 + 64
const XACT = { id: 1, operation: 0x70, commit: 0x00, commitPrepared: 0x30 } as const
const POSTGRES_EPOCH = 946_684_800_000_000n

/** Looks at the headers of all records, opens commits and restore points, and steps over everything else. */
export class WalRecords extends RecordReader {
  readonly #visitor: RecordVisitor

  constructor(start: bigint, segmentSize: number, visitor: RecordVisitor) {
    super(start, segmentSize, LOOKED_AT)
    this.#visitor = visitor
  }

  protected override isLookedAt(header: Buffer): boolean {
    const [info, manager] = [header[16]! & 0xf0, header[17]!]
    if (manager === XLOG.id) return info === XLOG.restorePoint
    const operation = info & XACT.operation
    return manager === XACT.id && (operation === XACT.commit || operation === XACT.commitPrepared)
  }

  protected override opened(record: Buffer, end: number, position: bigint): (() => void) | null {
    const data = mainData(record, end)
    if (data === null || data + 8 > end) return null
    const at = instantOf(record.readBigInt64LE(data) + POSTGRES_EPOCH)
    if (record[17] === XACT.id) {
      const xid = record.readUInt32LE(4)
      return () => this.#visitor.commit(at, position, xid)
    }
    const bytes = record.subarray(data + 8, end)
    const stop = bytes.indexOf(0)
    const name = bytes.toString('utf8', 0, stop === -1 ? bytes.length : stop)
    return () => this.#visitor.restorePoint(name, at, position)
  }
}

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
