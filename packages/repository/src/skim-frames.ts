import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SkippableBytes } from '@salvor/shared/ports/artifact'
import { type ByteFeed, openFeed } from './byte-feed.ts'
import type { DecodeJob } from './frame-jobs.ts'
import type { FramePool } from './frame-pool.ts'
import { plainLength } from './frame-table.ts'
import { asHex } from './hash.ts'
import { artifactKeyOf, corrupt } from './open-backup.ts'
import type { FrameInFlight, StoredFramesOptions } from './stored-frames.ts'

/** Stored bytes that are passed over in a request that runs; for more of them another one is cheaper. */
const NEAR = 8 * 1024 * 1024

export interface SkimOptions extends Omit<StoredFramesOptions, 'pool' | 'checksum'> {
  /** Plain offset of the first byte. */
  readonly from: number
  /** Lets nobody else at the artifact while its generator is at work. */
  readonly pass: (work: (pool: FramePool) => AsyncGenerator<Uint8Array>) => AsyncGenerator<Uint8Array>
  /** A frame's failure in the words of its copy. */
  readonly named: (error: unknown, frame: FrameInFlight) => unknown
  readonly signal: AbortSignal
}

/** A pass over a stored artifact that leaves out frames of which nothing is wanted. Tags and checksum of the whole are not looked at. */
export class SkimmedFrames implements SkippableBytes {
  readonly #options: SkimOptions
  /** Plain offset of the next byte that is wanted. */
  #wanted: number
  #feed: ByteFeed | null = null
  /** Stored offset of the feed. */
  #at = 0
  /** The frame that is read next, and its stored offset. */
  #next = 0
  #offset = 0
  /** Frames that are begun ahead: one behind a jump, since another may follow, and then more and more. */
  #ahead = 1

  constructor(options: SkimOptions) {
    this.#options = options
    this.#wanted = options.from
  }

  skip(count: number): void {
    this.#wanted += count
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    yield* this.#options.pass((pool) => this.#chunks(pool))
  }

  async *#chunks(pool: FramePool): AsyncGenerator<Uint8Array> {
    const { manifest, named } = this.#options
    const size = manifest.source_bytes
    const inFlight: FrameInFlight[] = []
    const drop = async (frame: FrameInFlight) => {
      await frame.done.catch(() => undefined)
      pool.release(frame.slot)
    }
    try {
      while (this.#wanted < size) {
        while (inFlight.length > 0 && this.#endOf(inFlight[0]!) <= this.#wanted) await drop(inFlight.shift()!)
        if (inFlight.length === 0) this.#jump(Math.floor(this.#wanted / manifest.frame_bytes))
        const room = Math.min(this.#ahead, pool.slots - 1)
        while (inFlight.length < room && this.#next < manifest.frames) inFlight.push(await this.#start(pool))
        this.#ahead = 2 * room
        const [oldest] = inFlight
        await oldest!.done.catch((error: unknown) => {
          throw named(error, oldest!)
        })
        const begin = this.#endOf(oldest!) - oldest!.plain
        const chunk = pool.memory.output(oldest!.slot).subarray(this.#wanted - begin, oldest!.plain)
        this.#wanted += chunk.length
        yield chunk
      }
    } finally {
      for (const frame of inFlight) await drop(frame)
      await this.#feed?.[Symbol.asyncDispose]()
      this.#feed = null
    }
  }

  #endOf({ frame, plain }: FrameInFlight): number {
    return frame * this.#options.manifest.frame_bytes + plain
  }

  #jump(frame: number): void {
    if (frame > this.#next) this.#ahead = 1
    for (; this.#next < frame; this.#next++) this.#offset += this.#options.index.frames.stored(this.#next)
  }

  async #start(pool: FramePool): Promise<FrameInFlight> {
    const { manifest, index, signal } = this.#options
    if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
    const [frame, offset] = [this.#next, this.#offset]
    const stored = index.frames.stored(frame)
    const slot = await pool.acquire()
    try {
      const arrived =
        (await this.#seek(offset)) && (await this.#feed!.take(pool.memory.input(slot).subarray(0, stored)))
      if (!arrived)
        throw corrupt(manifest, artifactKeyOf(manifest), `it ends within frame ${frame} at offset ${offset}`)
      this.#at = offset + stored
      this.#next = frame + 1
      this.#offset = offset + stored
      const plain = plainLength(frame, manifest)
      const sha256 = asHex(index.frames.sha256(frame))
      const job: DecodeJob = { kind: 'decode', slot, stored, plain, sha256, cipher: this.#cipher(offset), into: null }
      return { frame, offset, slot, plain, done: pool.run(job) }
    } catch (error) {
      pool.release(slot)
      throw error
    }
  }

  async #seek(offset: number): Promise<boolean> {
    const { store, manifest, signal } = this.#options
    if (this.#feed && offset - this.#at <= NEAR) return await this.#feed.skip(offset - this.#at)
    await this.#feed?.[Symbol.asyncDispose]()
    this.#feed = null
    this.#feed = await openFeed(store, artifactKeyOf(manifest), manifest.size_bytes, signal, offset)
    return true
  }

  #cipher(offset: number): DecodeJob['cipher'] {
    const segment = this.#options.index.segments.findLast((one) => one.offset <= offset)
    return segment?.iv ? { iv: asHex(segment.iv), position: offset - segment.offset } : null
  }
}
