import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactFrames } from '@salvor/shared/ports/artifact'

/** Plain bytes of an artifact at any offset. The frame that was read last is kept: neighbours are asked for next. */
export class PlainBytes {
  readonly #frames: ArtifactFrames
  readonly #signal: AbortSignal
  readonly #bytes: Uint8Array
  #last = { n: -1, length: 0 }

  constructor(frames: ArtifactFrames, signal: AbortSignal) {
    this.#frames = frames
    this.#signal = signal
    this.#bytes = new Uint8Array(frames.frame_bytes)
  }

  /** Exactly `length` bytes; ARTIFACT_CORRUPT where the artifact ends before. */
  async read(offset: number, length: number): Promise<Buffer> {
    const { frame_bytes, id, size } = this.#frames
    if (offset + length > size)
      throw new SalvorError('ARTIFACT_CORRUPT', { key: id, reason: 'it ends within a group', source: id })
    const into = Buffer.alloc(length)
    for (let at = 0; at < length;) {
      const n = Math.floor((offset + at) / frame_bytes)
      const bytes = await this.#frame(n)
      const from = offset + at - n * frame_bytes
      const count = Math.min(length - at, bytes.length - from)
      into.set(bytes.subarray(from, from + count), at)
      at += count
    }
    return into
  }

  async #frame(n: number): Promise<Uint8Array> {
    if (this.#last.n !== n) this.#last = { n, length: await this.#frames.frame(n, this.#bytes, this.#signal) }
    return this.#bytes.subarray(0, this.#last.length)
  }
}
