import { open } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { lsnText } from '@salvor/shared/vocabulary/lsn'
import { isSegmentSize, parseWalName, segmentStart, type WalPiece } from '@salvor/shared/vocabulary/wal'
import { Contents } from './contents.ts'
import { WalRecords } from './records.ts'
import { historyPiece } from './timelines.ts'

const READ = 1 << 20
const LONG_HEADER = 40
const HAS_LONG_HEADER = 0x0002

/** Serve again: one is garbage after each segment else, in a process that describes one after the other. */
const free: Buffer[] = []

/** What a segment file, a history file or a label is. SOURCE_DAMAGED: it is no WAL of this name. */
export async function describeFile(source: string, name: string, file: string): Promise<WalPiece> {
  const damaged = (reason: string) => new SalvorError('SOURCE_DAMAGED', { source, reason: `${name}: ${reason}` })
  const parsed = parseWalName(name)
  if (parsed === null || parsed.kind === 'tail') throw damaged('it has no name of a WAL file')
  const timeline = Number.parseInt(parsed.timeline, 16)
  if (parsed.segment === null || parsed.kind === 'label') {
    return { ...historyPiece(name, timeline), kind: parsed.kind }
  }
  await using handle = await open(file)
  const { size } = await handle.stat()
  const header = Buffer.alloc(LONG_HEADER)
  await handle.read(header, 0, LONG_HEADER, 0)
  const start = isSegmentSize(size) ? segmentStart(parsed.segment, size) : null
  const isWal = (header.readUInt16LE(2) & HAS_LONG_HEADER) !== 0 && header.readUInt32LE(32) === size
  if (start === null || !isWal) throw damaged('it is no whole WAL segment')
  if (header.readBigUInt64LE(8) !== start) throw damaged('its content belongs to another position')
  const contents = new Contents()
  const records = new WalRecords(start, size, contents)
  const buffer = free.pop() ?? Buffer.allocUnsafeSlow(READ)
  try {
    for (let at = 0; at < size; at += READ) {
      const { bytesRead } = await handle.read(buffer, 0, READ, at)
      records.push(buffer.subarray(0, bytesRead))
    }
  } finally {
    free.push(buffer)
  }
  return {
    ...contents.summary(),
    kind: parsed.kind,
    name,
    timeline,
    system_id: header.readBigUInt64LE(24).toString(),
    segment_size: size,
    start_lsn: lsnText(start),
    end_lsn: lsnText(start + BigInt(size)),
    current_at: null,
  }
}
