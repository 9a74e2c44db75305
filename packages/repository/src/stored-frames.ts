import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Store } from '@salvor/shared/ports/store'
import { openFeed } from './byte-feed.ts'
import { SegmentOpener } from './encrypt.ts'
import type { DecodeJob } from './frame-jobs.ts'
import { FrameFailure, type FramePool } from './frame-pool.ts'
import { type ArtifactIndex, plainLength, type Segment } from './frame-table.ts'
import { asHex, StreamHash } from './hash.ts'
import type { Manifest } from './manifest.ts'
import { artifactKeyOf, corrupt } from './open-backup.ts'

export interface FrameInFlight {
  readonly frame: number
  /** Stored offset of the frame. */
  readonly offset: number
  readonly slot: number
  readonly plain: number
  /** When the plain bytes are in the slot's output, or where they were sent to. Rejects with FrameFailure. */
  readonly done: Promise<number>
}

export interface StoredFramesOptions {
  readonly store: Store
  readonly manifest: Manifest
  readonly index: ArtifactIndex
  readonly dataKey: Uint8Array | null
  readonly pool: FramePool
  /** The SHA-256 of the whole, too. Where every frame is compared with the signed index it can tell nothing more about the bytes. */
  readonly checksum: boolean
}

/** One pass over a stored artifact: frames go to the pool as they arrive, tags are computed on the way. */
export class StoredFrames {
  readonly #options: StoredFramesOptions
  readonly #hash: StreamHash | null
  readonly #badTags: number[] = []

  constructor(options: StoredFramesOptions) {
    this.#options = options
    this.#hash = options.checksum ? new StreamHash() : null
  }

  /**
   * Every frame in order, already with the pool; its slot belongs to whoever takes it. `fd`: plain bytes go there, each frame to its
   * own offset, instead of into the slot.
   */
  async *read(fd: number | null, signal: AbortSignal): AsyncGenerator<FrameInFlight> {
    const { store, manifest, index, pool } = this.#options
    const key = artifactKeyOf(manifest)
    await using feed = await openFeed(store, key, manifest.size_bytes, signal)
    const position = new Position(index.segments, this.#options.dataKey)
    for (let frame = 0, offset = 0; frame < manifest.frames; frame++) {
      if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
      const stored = index.frames.stored(frame)
      const slot = await pool.acquire()
      const bytes = pool.memory.input(slot).subarray(0, stored)
      const arrived = await feed.take(bytes).catch((error: unknown) => {
        pool.release(slot)
        throw error
      })
      if (!arrived) throw corrupt(manifest, key, `it ends within frame ${frame} at offset ${offset}`)
      this.#hash?.update(bytes)
      const opened = position.advance(bytes, pool.memory.output(slot))
      if (opened === 'bad tag') this.#badTags.push(position.segment)
      const cipher = opened === 'plain' ? null : ('opened' as const)
      const plain = plainLength(frame, manifest)
      const into = fd === null ? null : { fd, offset: frame * manifest.frame_bytes }
      const sha256 = asHex(index.frames.sha256(frame))
      const job: DecodeJob = { kind: 'decode', slot, stored, plain, sha256, cipher, into }
      yield { frame, offset, slot, plain, done: pool.run(job) }
      offset += stored
    }
  }

  /** Segments whose tags did not fit, after a whole pass. */
  get badTags(): readonly number[] {
    return this.#badTags
  }
  /** SHA-256 of what passed by, where it was asked for. Once. */
  checksum(): string | null {
    return this.#hash?.hex() ?? null
  }

  /** After a whole pass in which every frame was good. */
  assertWhole(): void {
    const { manifest } = this.#options
    const key = artifactKeyOf(manifest)
    if (this.#badTags.length > 0) throw corrupt(manifest, key, `the tag of segment ${this.#badTags[0]} does not fit`)
    if (this.#hash && this.checksum() !== manifest.checksum_sha256)
      throw corrupt(manifest, key, 'its SHA-256 is not that of the manifest')
  }
}

/** What a job's failure says about the copy. */
export function frameReason(failure: FrameFailure, { frame, offset }: FrameInFlight): string {
  const what = failure.kind === 'digest' ? 'does not match the index' : 'does not open'
  return `frame ${frame} at offset ${offset} ${what}`
}

/** Where in which segment the next frame lies; opens segments as they pass, which is one pass for bytes and tag. */
class Position {
  segment = 0
  readonly #segments: readonly Segment[]
  readonly #dataKey: Uint8Array | null
  #inSegment = 0
  #opener: SegmentOpener | null = null

  constructor(segments: readonly Segment[], dataKey: Uint8Array | null) {
    this.#segments = segments
    this.#dataKey = dataKey
  }
  /** Opens the stored bytes of the next frame. `bad tag`: they end a segment whose tag does not fit. */
  advance(bytes: Uint8Array, into: Buffer): 'plain' | 'opened' | 'bad tag' {
    if (this.#inSegment === this.#segments[this.segment]!.stored) {
      this.segment++
      this.#inSegment = 0
    }
    const { iv, tag, stored } = this.#segments[this.segment]!
    this.#inSegment += bytes.length
    if (!this.#dataKey || !iv || !tag) return 'plain'
    this.#opener ??= new SegmentOpener(this.#dataKey, iv)
    this.#opener.open(bytes, into)
    if (this.#inSegment < stored) return 'opened'
    const opener = this.#opener
    this.#opener = null
    return opener.accepts(tag) ? 'opened' : 'bad tag'
  }
}
