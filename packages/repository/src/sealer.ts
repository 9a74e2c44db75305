import { createHash, hash } from 'node:crypto'
import { SegmentCipher } from './encrypt.ts'
import { copyInto } from './copy-into.ts'
import type { CloseJob, FrameMemory, SealJob } from './frame-jobs.ts'
import { SHA256_BYTES } from './hash.ts'

/** What must be done to the frames of an artifact one after another: encrypting and hashing. Lives in one of the threads. */
export class Sealer {
  readonly #memory: FrameMemory
  readonly #whole = createHash('sha256')
  #cipher: SegmentCipher | null = null

  constructor(memory: FrameMemory) {
    this.#memory = memory
  }

  /** Gives the length of what is stored. */
  seal({ slot, length, iv }: SealJob): number {
    const frame = this.#memory.output(slot).subarray(0, length)
    if (iv !== null) this.#cipher = new SegmentCipher(this.#memory.key, Buffer.from(iv, 'hex'))
    this.#cipher?.encrypt(frame)
    this.#whole.update(frame)
    copyInto(this.#memory.note(slot), hash('sha256', frame, 'buffer'))
    return length
  }

  close({ slot }: CloseJob): number {
    const note = this.#memory.note(slot)
    copyInto(note, this.#whole.copy().digest())
    if (this.#cipher !== null) copyInto(note, this.#cipher.tag(), SHA256_BYTES)
    this.#cipher = null
    return note.length
  }
}
