import { open, readdir, stat } from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'
import type { WalResume, WalSink, WalStreamRequest } from '@salvor/shared/ports/wal'
import { lsnText, lsnValue } from '@salvor/shared/vocabulary/lsn'
import { isSegmentSize, parseWalName, segmentStart, tailName, type WalPiece } from '@salvor/shared/vocabulary/wal'
import { CheckedRecords } from './checked-records.ts'
import { Contents } from './contents.ts'
import { describeFile } from './describe-file.ts'
import { WalRecords } from './records.ts'

export interface Salvaged {
  /** Up to where everything is stored now. */
  readonly resume: WalResume | null
  /** Up to where the tip lies here that could not be stored, and why; null: there is none. */
  readonly left: { readonly timeline: number; readonly end: bigint; readonly error: SalvorError } | null
}

interface Spooled {
  readonly name: string
  readonly file: string
  readonly whole: boolean
  readonly timeline: number
  readonly start: bigint
  readonly segmentSize: number
}

/**
 * Stores what an earlier stream received and did not store, without asking a server: it may be acknowledged, and the server that
 * sent it gone for good. Of the segment that was at hand as much as holds. Errors that no repetition helps are thrown.
 */
export async function salvage(
  source: string,
  { spool_dir, resume }: WalStreamRequest,
  sink: WalSink,
  signal: AbortSignal,
): Promise<Salvaged> {
  if (resume === null) return { resume, left: null }
  const { system_id } = resume
  const lying = await spooled(join(spool_dir, system_id), system_id)
  // Whole segments stay until they are stored; a stream that begins throws the tip away.
  const tip = lying.findLast(({ whole }) => !whole)
  let { timeline } = resume
  let stored = lsnValue(resume.lsn)
  for (const one of lying) {
    const begins = one.timeline === timeline ? one.start <= stored : one.timeline > timeline && one.start <= stored
    if (!begins) continue
    // A timeline goes on from its segment's first byte; what was there before is of the one that it left.
    const from = one.timeline === timeline && stored > one.start ? stored : one.start
    if ((await endOf(one)) <= from) continue
    try {
      stored = one.whole
        ? await storeSegment(source, one, sink, signal)
        : await storeTip(one, system_id, from, sink, signal)
      timeline = one.timeline
    } catch (thrown) {
      signal.throwIfAborted()
      const error = asSalvorError(thrown)
      if (!error.retryable) throw error
      const left = tip ? { timeline: tip.timeline, end: await endOf(tip), error } : null
      return { resume: { system_id, timeline, lsn: lsnText(stored) }, left }
    }
  }
  return { resume: { system_id, timeline, lsn: lsnText(stored) }, left: null }
}

async function endOf({ file, start }: Spooled): Promise<bigint> {
  return start + BigInt((await stat(file)).size)
}

/** By timeline and position. */
async function spooled(folder: string, systemId: string): Promise<readonly Spooled[]> {
  const names = await readdir(folder).catch((): string[] => [])
  const found: Spooled[] = []
  for (const name of names.toSorted()) {
    const parsed = parseWalName(name)
    if (parsed?.kind !== 'segment' && parsed?.kind !== 'partial') continue
    const file = join(folder, name)
    const segmentSize = await sizeInHeader(file, systemId)
    const start = segmentSize === null ? null : segmentStart(parsed.segment!, segmentSize)
    if (segmentSize === null || start === null) continue
    const whole = parsed.kind === 'segment'
    found.push({ name, file, whole, timeline: Number.parseInt(parsed.timeline, 16), start, segmentSize })
  }
  return found
}

/** The size of its segments that a file of this cluster tells; null: it is none, or has not got so far. */
async function sizeInHeader(file: string, systemId: string): Promise<number | null> {
  await using handle = await open(file)
  const header = Buffer.alloc(40)
  const { bytesRead } = await handle.read(header, 0, header.length, 0)
  if (bytesRead < header.length || header.readBigUInt64LE(24).toString() !== systemId) return null
  const size = header.readUInt32LE(32)
  return isSegmentSize(size) ? size : null
}

async function storeSegment(
  source: string,
  { name, file }: Spooled,
  sink: WalSink,
  signal: AbortSignal,
): Promise<bigint> {
  const piece = await describeFile(source, name, file)
  await sink.store(piece, () => createReadStream(file), signal)
  return lsnValue(piece.end_lsn!)
}

async function storeTip(
  { file, name, timeline, start, segmentSize }: Spooled,
  system_id: string,
  from: bigint,
  sink: WalSink,
  signal: AbortSignal,
): Promise<bigint> {
  const checked = new CheckedRecords(start, segmentSize)
  for await (const chunk of createReadStream(file)) checked.push(chunk as Buffer)
  const { end } = checked
  if (end <= from) return from
  const read = (first: bigint) => createReadStream(file, { start: Number(first - start), end: Number(end - start) - 1 })
  const contents = new Contents()
  const records = new WalRecords(start, segmentSize, contents)
  for await (const chunk of read(start)) records.push(chunk as Buffer)
  const piece: WalPiece = {
    ...contents.summary(),
    kind: 'tail',
    name: tailName(parseWalName(name)!.segment!, end),
    system_id,
    timeline,
    segment_size: segmentSize,
    start_lsn: lsnText(from),
    end_lsn: lsnText(end),
    current_at: null,
  }
  await sink.store(piece, () => read(from), signal)
  return end
}
