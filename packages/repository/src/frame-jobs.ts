import type { CompressionChoice } from '@salvor/shared/vocabulary/source'
import { type HashMemory, hashMemory, PAGE_DIGEST_BYTES, PAGE_KEY_ROOM, SMALLEST_PAGE } from './page-hash.ts'

/** What main thread and frame workers say to each other. Frame bytes travel in the shared slots, never in messages. */
export interface WorkerSetup {
  readonly memory: HashMemory
  readonly slotBytes: number
  readonly compression: CompressionChoice
}

/** A part of an open file that follows the bytes already in the slot. */
export interface FilePart {
  readonly fd: number
  readonly offset: number
  readonly length: number
  /** Ranges of the part, relative to it and ascending, that are zeros and not read. */
  readonly zeros: readonly (readonly [offset: number, length: number])[]
}

/** Compresses `filled` bytes of the slot, followed by `file` if there is one; digests of their pages go to the slot too. */
export interface CompressJob {
  readonly kind: 'compress'
  readonly slot: number
  readonly filled: number
  readonly file: FilePart | null
  /** Whole pages of this size; absent: no digests. The key of the pages lies in the shared memory. */
  readonly page_size?: number | undefined
}

/** Compares the stored bytes of the slot with `sha256`, then decrypts and decompresses them into the slot, or to `offset` of `fd`. */
export interface DecodeJob {
  readonly kind: 'decode'
  readonly slot: number
  readonly stored: number
  readonly plain: number
  /** Hex, as the IV: text stays in the heap of the garbage collector, small buffers would break up the memory of large ones. */
  readonly sha256: string
  /**
   * Where the frame lies in its segment; the key lies in the shared memory. `opened`: it is decrypted already, into the slot's output. Null
   * for a plain artifact.
   */
  readonly cipher: { readonly iv: string; readonly position: number } | 'opened' | null
  readonly into: { readonly fd: number; readonly offset: number } | null
}

/**
 * Encrypts the `length` bytes of the slot's output in place, and hashes what is stored then: its SHA-256 lies in the slot's `note`. One
 * thread takes all of these, and the CloseJobs, in the order in which they are given.
 */
export interface SealJob {
  readonly kind: 'seal'
  readonly slot: number
  readonly length: number
  /** Hex: the frame begins a segment of this IV. Null: it goes on with the segment, or the artifact is plain. */
  readonly iv: string | null
}

/** Ends the segment. In the slot's `note` lie then the SHA-256 of everything sealed so far, and the segment's tag if it is encrypted. */
export interface CloseJob {
  readonly kind: 'close'
  readonly slot: number
}

export type FrameJob = CompressJob | DecodeJob | SealJob | CloseJob

/** digest: not the bytes of the index · decode: they do not open · short: the file ended early · read, write: the system said `detail`. */
export type JobFailure = 'digest' | 'decode' | 'short' | 'read' | 'write' | 'compress' | 'seal'

export interface FrameReply {
  readonly slot: number
  /** Bytes of the result in the slot. */
  readonly length: number
  readonly failure: { readonly kind: JobFailure; readonly detail: string } | null
}

/** The first message of every worker: whether its codec round trip was good. */
export interface WorkerReady {
  readonly codecWorks: boolean
}

const KEY_BYTES = 32
const PAGE_KEY_AT = 64
const SLOTS_AT = PAGE_KEY_AT + PAGE_KEY_ROOM
/** A SHA-256, and a tag behind it. */
const NOTE_BYTES = 48

/** Shared memory: the data key, the key of page digests, then for every slot an input and an output area of `slotBytes` each, and its digests. */
export class FrameMemory {
  readonly shared: HashMemory
  readonly slotBytes: number
  readonly #slotRoom: number

  constructor(shared: HashMemory, slotBytes: number) {
    this.shared = shared
    this.slotBytes = slotBytes
    this.#slotRoom = slotRoom(slotBytes)
  }
  static allocate(slots: number, slotBytes: number): FrameMemory {
    return new FrameMemory(hashMemory(SLOTS_AT + slots * slotRoom(slotBytes)), slotBytes)
  }
  get key(): Uint8Array {
    return new Uint8Array(this.shared.buffer, 0, KEY_BYTES)
  }
  get pageKey(): Uint8Array {
    return new Uint8Array(this.shared.buffer, PAGE_KEY_AT, PAGE_KEY_ROOM)
  }
  input(slot: number): Buffer {
    return Buffer.from(this.shared.buffer, this.#at(slot), this.slotBytes)
  }
  output(slot: number): Buffer {
    return Buffer.from(this.shared.buffer, this.#at(slot) + this.slotBytes, this.slotBytes)
  }
  /** One for each of the first `pages` pages of the input. */
  digests(slot: number, pages: number): Uint8Array {
    return new Uint8Array(this.shared.buffer, this.#at(slot) + 2 * this.slotBytes, pages * PAGE_DIGEST_BYTES)
  }
  /** What a job says of the slot's output; it takes the place of the input. */
  note(slot: number): Buffer {
    return this.input(slot).subarray(0, NOTE_BYTES)
  }

  #at(slot: number): number {
    return SLOTS_AT + slot * this.#slotRoom
  }
}

function slotRoom(slotBytes: number): number {
  return 2 * slotBytes + Math.ceil(slotBytes / SMALLEST_PAGE) * PAGE_DIGEST_BYTES
}
