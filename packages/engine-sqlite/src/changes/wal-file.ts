import { constants, fstatSync, readSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { type Checksum, RunningChecksum } from './frame-checksum.ts'

const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
/**
 * Read at a time, by whoever reads: one at a time, mostly. What is read was just written: to ask another thread for it takes longer
 * than to read it.
 */
const CHUNK_BYTES = 256 << 10
/** Read in a row, in a millisecond or less: then it is others' turn. */
const TURN_CHUNKS = 4
const free: Buffer[] = []
const MOST_FREE = 4
const LITTLE = 0x377f0682
const BIG = 0x377f0683

/** Up to where a log was read: which one (its salts), how many frames, and the running checksum behind the last. */
export interface LogPosition {
  readonly salts: string
  readonly frames: number
  readonly checksum: Checksum
}

/** A frame is not what it must be: frames were lost, or somebody wrote to the log without SQLite. */
export class LogBroken extends Error {}

interface Generation {
  readonly salts: string
  readonly big_endian: boolean
  readonly page_size: number
  readonly checksum: Checksum
}

/**
 * The write-ahead log as bytes, in a process that has no SQLite handle on the database. Only frames that a snapshot holds are read, while
 * that snapshot or an older one is held: then they do not change.
 */
export class WalFile implements AsyncDisposable {
  readonly #path: string
  readonly #page_size: number
  #handle: FileHandle | null = null

  constructor(databasePath: string, pageSize: number) {
    this.#path = `${databasePath}-wal`
    this.#page_size = pageSize
  }

  get frameBytes(): number {
    return FRAME_HEADER_BYTES + this.#page_size
  }

  /** The present log, at the end of its frame `frames`, as the frame itself says. LogBroken: there is no such frame. */
  async positionAt(frames: number): Promise<LogPosition> {
    const generation = await this.#generation()
    return { salts: generation.salts, frames, checksum: this.#checksumAt(frames, generation) }
  }

  /** Whether the log still is the one of that position, with that frame in it. */
  async holds({ salts, frames, checksum }: LogPosition): Promise<boolean> {
    try {
      const generation = await this.#generation()
      if (generation.salts !== salts) return false
      return isSame(this.#checksumAt(frames, generation), checksum)
    } catch (error) {
      if (error instanceof LogBroken) return false
      throw error
    }
  }

  /**
   * The beginning of the present log, of which `written` frames count, where it is the one behind that position's and nothing was written
   * between them: SQLite counts its logs, and the last frame of the position and the one behind it lie there still unless they were written
   * over. Null: that cannot be told. `written` 0: the one behind it has no frame yet.
   */
  async nextAfter(from: LogPosition, written: number): Promise<LogPosition | null> {
    try {
      const { salts, frames } = from
      const generation = await this.#generation()
      const isNext = written > 0 && countOf(generation.salts) === (countOf(salts) + 1) >>> 0
      const isWaitedFor = written === 0 && generation.salts === salts
      if (written >= frames || !(isNext || isWaitedFor)) return null
      // A file that was rolled back has another frame there; one of which a power cut left less than was read has none that count.
      if (!isSame(this.#checksumAt(frames, from), from.checksum)) return null
      if (isWaitedFor && !(await this.#isWhole(from))) return null
      const behind = this.#saltsBehind(frames)
      const ended = behind === 'end' || (behind !== null && behind !== salts)
      const overwritten = isNext && behind === generation.salts
      return ended && !overwritten ? { salts: generation.salts, frames: 0, checksum: generation.checksum } : null
    } catch (error) {
      if (error instanceof LogBroken) return null
      throw error
    }
  }

  /**
   * Reads the frames behind `from` up to frame `to`, in order, each checked. `onPage` gets page number and image, valid until it returns.
   * `from` of another log: from the first frame on. The last frame must end a transaction. LogBroken otherwise. `page_count` 0: there
   * was nothing to read.
   */
  async readFrames(
    from: LogPosition | null,
    to: number,
    onPage: (page: number, image: Buffer) => void,
  ): Promise<{ readonly position: LogPosition; readonly page_count: number }> {
    const generation = await this.#generation()
    const { salts, big_endian } = generation
    const same = from?.salts === salts
    if (same && from.frames > to) throw new LogBroken('it became shorter')
    if (same && from.frames === to) return { position: from, page_count: 0 }
    const sum = new RunningChecksum(same ? from.checksum : generation.checksum, big_endian)
    let frames = same ? from.frames : 0
    const begun = frames
    let page_count = 0
    const size = this.frameBytes
    const both = [countOf(salts), Number.parseInt(salts.slice(8), 16)] as const
    const chunk = free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
    const most = Math.floor(chunk.length / size)
    const words = new Int32Array(chunk.buffer, chunk.byteOffset, chunk.length >> 2)
    try {
      while (frames < to) {
        if (frames > begun && (frames - begun) % (TURN_CHUNKS * most) === 0) await turn()
        const count = Math.min(most, to - frames)
        this.#fill(chunk.subarray(0, count * size), HEADER_BYTES + frames * size)
        for (let at = 0; at < count * size; at += size) {
          frames += 1
          const own = chunk.readUInt32BE(at + 8) === both[0] && chunk.readUInt32BE(at + 12) === both[1]
          if (!own) throw new LogBroken(`frame ${frames} is of another log`)
          sum.add(words, at >> 2, (at >> 2) + 2)
          sum.add(words, (at + FRAME_HEADER_BYTES) >> 2, (at + size) >> 2)
          if (sum.a !== chunk.readUInt32BE(at + 16) || sum.b !== chunk.readUInt32BE(at + 20))
            throw new LogBroken(`frame ${frames} does not match its checksum`)
          page_count = chunk.readUInt32BE(at + 4)
          onPage(chunk.readUInt32BE(at), chunk.subarray(at + FRAME_HEADER_BYTES, at + size))
        }
      }
    } finally {
      if (free.length < MOST_FREE) free.push(chunk)
    }
    if (page_count === 0) throw new LogBroken(`frame ${to} does not end a transaction`)
    return { position: { salts, frames, checksum: sum.value }, page_count }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle?.close()
    this.#handle = null
  }

  async #generation(): Promise<Generation> {
    await this.#reopen()
    const bytes = Buffer.allocUnsafeSlow(HEADER_BYTES)
    this.#fill(bytes, 0)
    const magic = bytes.readUInt32BE(0)
    if (magic !== LITTLE && magic !== BIG) throw new LogBroken('it has no header')
    const big_endian = magic === BIG
    const sum = new RunningChecksum({ a: 0, b: 0 }, big_endian)
    sum.add(new Int32Array(bytes.buffer, 0, 6), 0, 6)
    const checksum = sum.value
    if (checksum.a !== bytes.readUInt32BE(24) || checksum.b !== bytes.readUInt32BE(28))
      throw new LogBroken('its header is damaged')
    const page_size = bytes.readUInt32BE(8)
    if (page_size !== this.#page_size) throw new LogBroken(`it has pages of ${page_size} bytes`)
    return { salts: bytes.toString('hex', 16, 24), big_endian, page_size, checksum }
  }

  /** Whether all frames up to there are what they were, by their checksums. */
  async #isWhole({ frames, checksum }: LogPosition): Promise<boolean> {
    const { position } = await this.readFrames(null, frames, () => undefined)
    return isSame(position.checksum, checksum)
  }

  /** Of the frame behind those; `end`: the file ends exactly there; null: somewhere else. */
  #saltsBehind(frames: number): string | null {
    const handle = this.#handle
    if (!handle) return null
    const head = Buffer.alloc(FRAME_HEADER_BYTES)
    const at = HEADER_BYTES + frames * this.frameBytes
    const bytesRead = readSync(handle.fd, head, 0, head.length, at)
    if (bytesRead === head.length) return head.toString('hex', 8, 16)
    return bytesRead === 0 && fstatSync(handle.fd).size === at ? 'end' : null
  }

  #checksumAt(frames: number, { salts, checksum }: Pick<Generation, 'salts' | 'checksum'>): Checksum {
    if (frames === 0) return checksum
    const head = Buffer.alloc(FRAME_HEADER_BYTES)
    this.#fill(head, HEADER_BYTES + (frames - 1) * this.frameBytes)
    if (head.toString('hex', 8, 16) !== salts) throw new LogBroken(`frame ${frames} is of another log`)
    return { a: head.readUInt32BE(16), b: head.readUInt32BE(20) }
  }

  #fill(into: Buffer, offset: number): void {
    const handle = this.#handle
    if (!handle) throw new LogBroken('it is gone')
    for (let done = 0; done < into.length;) {
      const bytesRead = readSync(handle.fd, into, done, into.length - done, offset + done)
      if (bytesRead === 0) throw new LogBroken(`it ends at byte ${offset + done}`)
      done += bytesRead
    }
  }

  /** The log of this name may have been deleted and made anew. */
  async #reopen(): Promise<void> {
    const before = this.#handle
    try {
      if (before && fstatSync(before.fd).nlink > 0) return
      await before?.close()
      this.#handle = await open(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW)
    } catch (error) {
      this.#handle = null
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw new LogBroken('it is gone')
      throw error
    }
  }
}

function isSame(a: Checksum, b: Checksum): boolean {
  return a.a === b.a && a.b === b.b
}

/** The first salt: SQLite adds one where it begins the log anew, and draws the other. */
function countOf(salts: string): number {
  return Number.parseInt(salts.slice(0, 8), 16)
}

/** As text for `ChangePiece.position`, with the file that the log belongs to. */
export function positionText({ salts, frames, checksum }: LogPosition, inode: bigint): string {
  return `wal ${inode} ${salts} ${frames} ${checksum.a} ${checksum.b}`
}

/** Null: text of no position in the log of that file. */
export function parsePosition(text: string | null, inode: bigint): LogPosition | null {
  const parts = /^wal (\d+) ([0-9a-f]{16}) (\d+) (\d+) (\d+)$/.exec(text ?? '')
  if (!parts || BigInt(parts[1]!) !== inode) return null
  return { salts: parts[2]!, frames: Number(parts[3]), checksum: { a: Number(parts[4]), b: Number(parts[5]) } }
}
