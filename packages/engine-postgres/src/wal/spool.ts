import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseWalName, segmentAt, segmentStart } from '@salvor/shared/vocabulary/wal'
import { syncFolder } from '../data-folder/settle.ts'

const WRITE = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
const READ = constants.O_RDONLY | constants.O_NOFOLLOW
const PIECE = 1 << 20

interface Left {
  readonly name: string
  readonly whole: boolean
  readonly timeline: number
  readonly start: bigint
}

/** WAL on its way to a store, as files of one stream: whole segments under their own names, the one at hand as `.partial`. */
export class WalSpool implements AsyncDisposable {
  readonly folder: string
  readonly segmentSize: number
  #file: FileHandle | null = null
  #name = ''
  #start = 0n
  #filled = 0
  /** Bytes of whole segments that are not stored yet. */
  waiting = 0

  private constructor(folder: string, segmentSize: number) {
    this.folder = folder
    this.segmentSize = segmentSize
  }

  static async open(folder: string, segmentSize: number): Promise<WalSpool> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return new WalSpool(folder, segmentSize)
  }

  /**
   * Whole segments that an earlier stream left and that follow `resume` without a hole, oldest first. What is stored by now
   * is removed; the rest stays, since it may be acknowledged, and is taken up when the stream comes there.
   */
  async takeUp(timeline: number, resume: bigint): Promise<bigint[]> {
    const kept: bigint[] = []
    const first = resume - (resume % BigInt(this.segmentSize))
    let next = first
    for (const one of await this.#left()) {
      const isStored = one.timeline < timeline || (one.timeline === timeline && one.start < first)
      if (isStored) await rm(join(this.folder, one.name), { force: true })
      if (!one.whole || one.timeline !== timeline || one.start !== next) continue
      kept.push(one.start)
      next += BigInt(this.segmentSize)
      this.waiting += this.segmentSize
    }
    return kept
  }

  /** Where the whole segments of a timeline begin that reach `at` or beyond without a hole; `at` where none does. */
  async beginning(timeline: number, at: bigint): Promise<bigint> {
    let begin = at
    for (const one of (await this.#left()).toReversed()) {
      if (one.whole && one.timeline === timeline && one.start + BigInt(this.segmentSize) === begin) begin = one.start
    }
    return begin
  }

  /** Segments here, by timeline and position; everything else is removed. */
  async #left(): Promise<Left[]> {
    const found: Left[] = []
    for (const name of (await readdir(this.folder)).toSorted()) {
      const parsed = parseWalName(name)
      const whole = parsed?.kind === 'segment'
      const start = whole || parsed?.kind === 'partial' ? segmentStart(parsed.segment!, this.segmentSize) : null
      const { size } = await lstat(join(this.folder, name))
      if (start !== null && (whole ? size === this.segmentSize : size <= this.segmentSize))
        found.push({ name, whole, timeline: Number.parseInt(parsed!.timeline, 16), start })
      else await rm(join(this.folder, name), { force: true, recursive: true })
    }
    return found
  }

  /**
   * The segment that the next bytes belong to, empty. One of an earlier attempt is written over by the same bytes: what it has
   * beyond them may be acknowledged, and stays until they have come again.
   */
  async begin(timeline: number, start: bigint): Promise<void> {
    await this.#close()
    this.#name = segmentAt(timeline, start, this.segmentSize)
    this.#start = start
    this.#filled = 0
    this.#file = await open(this.#partial, WRITE, 0o600)
    // What is acknowledged once it is in the file needs the file to be there.
    await syncFolder(this.folder)
  }

  get #partial(): string {
    return join(this.folder, `${this.#name}.partial`)
  }
  /** First byte that is not there. */
  get end(): bigint {
    return this.#start + BigInt(this.#filled)
  }
  get start(): bigint {
    return this.#start
  }
  /** Room in the segment at hand. */
  get left(): number {
    return this.segmentSize - this.#filled
  }
  get bytes(): number {
    return this.waiting + this.#filled
  }

  /** At most `left` bytes, which may be changed once it has resolved. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const { bytesWritten } = await this.#file!.write(chunk, at, chunk.length - at, this.#filled)
      at += bytesWritten
      this.#filled += bytesWritten
    }
  }

  /** What was written is durable. No file is at hand only while a segment ends, which was synced by then. */
  async sync(): Promise<void> {
    await this.#file?.datasync()
  }

  /** Makes the full segment durable under its own name. */
  async finish(): Promise<void> {
    await this.#file!.datasync()
    await this.#close()
    await rename(this.#partial, join(this.folder, this.#name))
    await syncFolder(this.folder)
    this.waiting += this.segmentSize
    this.#filled = 0
    this.#start += BigInt(this.segmentSize)
  }

  /** The bytes of a whole segment, or of the one at hand, from `from` to `to`. */
  async *read(timeline: number, from: bigint, to: bigint): AsyncGenerator<Uint8Array> {
    const size = BigInt(this.segmentSize)
    const name = segmentAt(timeline, from, this.segmentSize)
    const file = await this.#open(name)
    try {
      const buffer = Buffer.allocUnsafe(Math.min(PIECE, Number(to - from)))
      let offset = Number(from % size)
      for (let left = Number(to - from); left > 0;) {
        const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, left), offset)
        if (bytesRead === 0) throw new RangeError(`the spooled segment ${name} is too short`)
        yield buffer.subarray(0, bytesRead)
        offset += bytesRead
        left -= bytesRead
      }
    } finally {
      await file.close()
    }
  }

  /** A segment that is finished at this very moment has its own name by then. */
  async #open(name: string): Promise<FileHandle> {
    const whole = join(this.folder, name)
    if (name !== this.#name) return await open(whole, READ)
    return await open(`${whole}.partial`, READ).catch(() => open(whole, READ))
  }

  /** Of a segment that is stored. */
  async remove(timeline: number, start: bigint): Promise<void> {
    await rm(join(this.folder, segmentAt(timeline, start, this.segmentSize)), { force: true })
    this.waiting -= this.segmentSize
  }

  /** Nobody may begin to sync a file that is closing; a sync under way is waited for. */
  async #close(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.close()
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}
