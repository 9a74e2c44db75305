import { createHash, hash } from 'node:crypto'
import type { PageDigesting } from '@salvor/shared/ports/artifact'
import type { ObjectWriter } from '@salvor/shared/ports/store'
import { SegmentCipher } from './encrypt.ts'
import type { FramePool } from './frame-pool.ts'
import { freeBuffer } from './free-buffer.ts'
import { FrameTable, type Segment } from './frame-table.ts'

export interface ArtifactOutputOptions {
  readonly pool: FramePool
  readonly writer: ObjectWriter
  /** Null: the artifact is plain. */
  readonly dataKey: Uint8Array | null
  readonly segmentBytes: number
  readonly onFrame: (plainBytes: number) => void
}

export interface StoredArtifact {
  readonly size_bytes: number
  readonly checksum_sha256: string
  readonly frames: FrameTable
  readonly segments: readonly Segment[]
}

interface FrameToStore {
  readonly slot: number
  readonly plainBytes: number
  readonly stored: Promise<number>
  readonly digesting: PageDigesting | null
}

/**
 * The stored side of an artifact: takes compressed frames in order, encrypts and hashes them, and writes them to the store. After a
 * failure it goes on freeing slots, so that whoever fills them wakes up and sees `failure`.
 */
export class ArtifactOutput {
  failure: unknown = null
  readonly #options: ArtifactOutputOptions
  readonly #frames = new FrameTable()
  readonly #segments: Segment[] = []
  readonly #hash = createHash('sha256')
  #segment: { readonly offset: number; stored: number; readonly cipher: SegmentCipher | null } | null = null
  #tail: Promise<void> = Promise.resolve()

  constructor(options: ArtifactOutputOptions) {
    this.#options = options
  }

  /** The next frame: `stored` is the length of what a job leaves in the slot's output, beside digests for whoever wants them. */
  add(slot: number, plainBytes: number, stored: Promise<number>, digesting: PageDigesting | null): void {
    this.#tail = this.#takeAfter(this.#tail, { slot, plainBytes, stored, digesting })
  }

  /** When every frame so far is with the store, or freed after a failure. Never rejects. */
  settled(): Promise<void> {
    return this.#tail
  }

  /** After `settled` without a failure. */
  end(): StoredArtifact {
    this.#endSegment()
    const checksum_sha256 = this.#hash.digest('hex')
    return { size_bytes: this.#frames.storedBytes, checksum_sha256, frames: this.#frames, segments: this.#segments }
  }

  async #takeAfter(earlier: Promise<void>, { slot, plainBytes, stored, digesting }: FrameToStore): Promise<void> {
    const { memory } = this.#options.pool
    await earlier
    try {
      const length = await stored
      if (this.failure === null) {
        digesting?.take(memory.digests(slot, plainBytes / digesting.page_size))
        await this.#take(memory.output(slot).subarray(0, length))
      }
      this.#options.onFrame(plainBytes)
    } catch (error) {
      this.failure ??= error
    }
    this.#options.pool.release(slot)
  }

  async #take(frame: Uint8Array): Promise<void> {
    const segment = this.#segmentFor(frame.length)
    const bytes = segment.cipher ? segment.cipher.update(frame) : frame
    segment.stored += bytes.length
    this.#hash.update(bytes)
    this.#frames.append(bytes.length, hash('sha256', bytes, 'buffer'))
    await this.#options.writer.write(bytes)
    if (segment.cipher) freeBuffer(bytes)
  }

  #segmentFor(length: number) {
    if (this.#segment && this.#segment.stored + length > this.#options.segmentBytes) this.#endSegment()
    const { dataKey } = this.#options
    const cipher = dataKey && !this.#segment ? new SegmentCipher(dataKey) : null
    return (this.#segment ??= { offset: this.#frames.storedBytes, stored: 0, cipher })
  }

  #endSegment(): void {
    if (!this.#segment) return
    const { offset, stored, cipher } = this.#segment
    this.#segments.push({ offset, stored, iv: cipher?.iv ?? null, tag: cipher?.tag() ?? null })
    this.#segment = null
  }
}
