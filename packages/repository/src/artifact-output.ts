import { randomBytes } from 'node:crypto'
import type { PageDigesting } from '@salvor/shared/ports/artifact'
import type { ObjectWriter } from '@salvor/shared/ports/store'
import { IV_BYTES } from './encrypt.ts'
import type { FramePool } from './frame-pool.ts'
import { FrameTable, type Segment } from './frame-table.ts'
import { asHex, SHA256_BYTES } from './hash.ts'

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

/** A frame that was given to be sealed, behind all earlier ones. */
interface HandedIn {
  /** Length of the stored bytes in the slot's output. */
  readonly sealed: Promise<number>
}

interface FrameToStore {
  readonly slot: number
  readonly plainBytes: number
  readonly digesting: PageDigesting | null
}

/**
 * The stored side of an artifact: has compressed frames encrypted and hashed in order, and writes them to the store. After a failure it
 * goes on freeing slots, so that whoever fills them wakes up and sees `failure`.
 */
export class ArtifactOutput {
  failure: unknown = null
  readonly #options: ArtifactOutputOptions
  readonly #frames = new FrameTable()
  readonly #segments: Segment[] = []
  #segment: { readonly offset: number; stored: number; readonly iv: Buffer | null } | null = null
  /** Bytes that were given to be sealed; the store may still lack some. */
  #sealing = 0
  /** When the last frame was handed in, well or not. */
  #order: Promise<unknown> = Promise.resolve()
  #tail: Promise<void> = Promise.resolve()

  constructor(options: ArtifactOutputOptions) {
    this.#options = options
    if (options.dataKey) options.pool.memory.key.set(options.dataKey)
  }

  /** The next frame: `compressed` is the length of what a job leaves in the slot's output, beside digests for whoever wants them. */
  add(slot: number, plainBytes: number, compressed: Promise<number>, digesting: PageDigesting | null): void {
    const handedIn = this.#handIn(this.#order, slot, compressed)
    this.#order = handedIn.catch(() => undefined)
    this.#tail = this.#storeAfter(this.#tail, { slot, plainBytes, digesting }, handedIn)
  }

  /** When every frame so far is with the store, or freed after a failure. Never rejects. */
  settled(): Promise<void> {
    return this.#tail
  }

  /** After `settled` without a failure. */
  async end(): Promise<StoredArtifact> {
    const { pool } = this.#options
    const slot = await pool.acquire()
    const checksum_sha256 = await this.#endSegment(slot)
    pool.release(slot)
    return { size_bytes: this.#frames.storedBytes, checksum_sha256, frames: this.#frames, segments: this.#segments }
  }

  /** Null: something has failed already. */
  async #handIn(earlier: Promise<unknown>, slot: number, compressed: Promise<number>): Promise<HandedIn | null> {
    await earlier
    const length = await compressed
    if (this.failure !== null) return null
    if (this.#segment && this.#segment.stored + length > this.#options.segmentBytes) await this.#endSegment(slot)
    const iv = this.#segment === null ? this.#beginSegment() : null
    this.#segment!.stored += length
    this.#sealing += length
    return { sealed: this.#options.pool.run({ kind: 'seal', slot, length, iv: iv && asHex(iv) }) }
  }

  async #storeAfter(
    earlier: Promise<void>,
    { slot, plainBytes, digesting }: FrameToStore,
    handedIn: Promise<HandedIn | null>,
  ): Promise<void> {
    const { memory } = this.#options.pool
    await earlier
    try {
      const length = await (await handedIn)?.sealed
      if (length !== undefined && this.failure === null) {
        digesting?.take(memory.digests(slot, plainBytes / digesting.page_size))
        await this.#store(slot, length)
      }
      this.#options.onFrame(plainBytes)
    } catch (error) {
      this.failure ??= error
    }
    this.#options.pool.release(slot)
  }

  async #store(slot: number, length: number): Promise<void> {
    const { memory } = this.#options.pool
    this.#frames.append(length, memory.note(slot).subarray(0, SHA256_BYTES))
    await this.#options.writer.write(memory.output(slot).subarray(0, length))
  }

  /** Gives the IV; null where the artifact is plain. */
  #beginSegment(): Buffer | null {
    const iv = this.#options.dataKey && randomBytes(IV_BYTES)
    this.#segment = { offset: this.#sealing, stored: 0, iv }
    return iv
  }

  /** Gives the SHA-256 of everything so far. */
  async #endSegment(slot: number): Promise<string> {
    const { pool } = this.#options
    await pool.run({ kind: 'close', slot })
    const note = Uint8Array.from(pool.memory.note(slot))
    const { offset, stored, iv } = this.#segment!
    this.#segments.push({ offset, stored, iv, tag: iv && note.subarray(SHA256_BYTES) })
    this.#segment = null
    return asHex(note.subarray(0, SHA256_BYTES))
  }
}
