import { expect, test } from 'vitest'
import { parseHistory } from '@salvor/shared/vocabulary/timeline-history'
import { WalRecords } from './records.ts'
import { segmentBytes } from './segment-bytes.ts'

const SEGMENT = 1 << 20
const EPOCH = 946_684_800_000_000n
const T = 1_764_275_970_294_774n

interface Sample {
  readonly manager: number
  readonly info: number
  readonly data: Buffer
  readonly prefix?: Buffer
}

function record({ manager, info, data, prefix = Buffer.alloc(0) }: Sample): Buffer {
  const head = data.length < 256 ? Buffer.from([255, data.length]) : Buffer.alloc(5, 254)
  if (data.length >= 256) head.writeUInt32LE(data.length, 1)
  const total = 24 + prefix.length + head.length + data.length
  const bytes = Buffer.alloc(Math.ceil(total / 8) * 8)
  bytes.writeUInt32LE(total, 0)
  bytes.writeUInt32LE(735, 4)
  bytes[16] = info
  bytes[17] = manager
  Buffer.concat([prefix, head, data]).copy(bytes, 24)
  return bytes
}

const time = (micros: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(micros - EPOCH)
  return bytes
}
const commit = (micros = T, prefix?: Buffer): Buffer =>
  record({ manager: 1, info: 0, data: Buffer.concat([time(micros), Buffer.alloc(20)]), ...(prefix && { prefix }) })
const point = (name: string): Buffer =>
  record({ manager: 0, info: 0x70, data: Buffer.concat([time(T), Buffer.from(name), Buffer.alloc(64 - name.length)]) })
const filler = (length: number): Buffer => record({ manager: 10, info: 0, data: Buffer.alloc(length, 7) })

/** Puts a stream of records into pages, as the server does. */
function paged(body: Buffer, start: number, contrecord = 0): Buffer {
  const pages: Buffer[] = []
  for (let at = 0, position = start; at < body.length;) {
    const header = Buffer.alloc(position % SEGMENT === 0 ? 40 : 24)
    if (at === 0 && contrecord > 0) {
      header.writeUInt16LE(1, 2)
      header.writeUInt32LE(contrecord, 16)
    }
    const part = body.subarray(at, at + 8192 - header.length)
    pages.push(header, part)
    at += part.length
    position += 8192
  }
  return Buffer.concat(pages)
}

function seen(wal: Buffer, start: number, piece: number): string[] {
  const found: string[] = []
  const records = new WalRecords(BigInt(start), SEGMENT, {
    commit: (at, position, xid) => void found.push(`commit ${at} ${position} ${xid}`),
    restorePoint: (name, at, position) => void found.push(`point ${name} ${at} ${position}`),
  })
  for (let at = 0; at < wal.length; at += piece) records.push(wal.subarray(at, at + piece))
  return found
}

test.each([1, 7, 24, 8192, 100_000])(
  'commits and restore points are found in pieces of %i bytes, over page bounds too',
  (piece) => {
    const records: Buffer[] = []
    for (let n = 0; n < 60; n++) records.push(filler(n * 37), commit(T + BigInt(n)), filler(300 + n))
    records.push(point('before the import'), commit(T, Buffer.from([253, 1, 0, 252, 1, 2, 3, 4])))
    const found = seen(paged(Buffer.concat(records), 3 * SEGMENT), 3 * SEGMENT, piece)
    expect(found).toHaveLength(62)
    expect(found[0]).toBe(`commit 2025-11-27T20:39:30.294774Z ${3 * SEGMENT + 40 + 32} 735`)
    expect(found[60]).toMatch(/^point before the import 2025-11-27T20:39:30.294774Z /)
    expect(new Set(found).size).toBe(62)
  },
)

test('a segment that begins within a record is read from the next one on', () => {
  const rest = 10_000
  const wal = paged(Buffer.concat([Buffer.alloc(Math.ceil(rest / 8) * 8, 9), commit()]), 5 * SEGMENT, rest)
  expect(seen(wal, 5 * SEGMENT, 4096)).toHaveLength(1)
})

test('a commit counts when the last byte of its record has come, not when enough of it is known', () => {
  const long = record({ manager: 1, info: 0, data: Buffer.concat([time(T), Buffer.alloc(20_001)]) })
  const wal = paged(Buffer.concat([filler(100), long, filler(8)]), SEGMENT)
  const found: string[] = []
  const ends: number[] = []
  const records = new WalRecords(BigInt(SEGMENT), SEGMENT, {
    commit: (at) => void found.push(at),
    restorePoint: () => undefined,
  })
  for (let at = 0; at < wal.length; at++) {
    records.push(wal.subarray(at, at + 1))
    if (found.length > ends.length) ends.push(at + 1)
  }
  // Three pages begin within the record; its padding need not come.
  const length = long.readUInt32LE(0)
  expect(ends).toEqual([40 + Math.ceil((24 + 2 + 100) / 8) * 8 + length + 2 * 24])
})

test('what follows a switch, or the end of a timeline, is zeros up to the next segment', () => {
  const change = record({ manager: 0, info: 0x40, data: Buffer.alloc(0) }).subarray(0, 24)
  change.writeUInt32LE(24, 0)
  for (const end of [change, Buffer.alloc(0)]) {
    const first = paged(Buffer.concat([commit(), end]), SEGMENT)
    const wal = Buffer.concat([first, Buffer.alloc(SEGMENT - first.length), paged(commit(), 2 * SEGMENT)])
    expect(seen(wal, SEGMENT, 8192)).toHaveLength(2)
    expect(seen(wal, SEGMENT, 5000)).toHaveLength(2)
  }
})

test('bytes that are no WAL end with nothing found, not with an error', () => {
  let seed = 42
  const noise = Buffer.from(
    Array.from({ length: 50_000 }, () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 16),
  )
  expect(() => seen(noise, SEGMENT, 777)).not.toThrow()
})

test('a timeline history is read as the server writes it, and refused when it is something else', () => {
  expect(parseHistory('1\t0/3001000\tno recovery target specified\n\n2\tA/0\tafter LSN 0/5\n')).toEqual([
    { timeline: 1, end: 0x3001000n },
    { timeline: 2, end: 0xa00000000n },
  ])
  for (const text of ['2\t0/1\n1\t0/2\n', 'x\t0/1\n', '1\tno\n', '1\n'])
    expect(() => parseHistory(text)).toThrow(RangeError)
})

test('a segment size is what the server shows', () => {
  expect(segmentBytes({ walSegmentSize: '16MB' })).toBe(16 << 20)
  expect(segmentBytes({ walSegmentSize: '1GB' })).toBe(1 << 30)
  for (const walSegmentSize of ['3MB', '0', '16', '512kB'])
    expect(() => segmentBytes({ walSegmentSize })).toThrow(/segment size/)
})
