import { BLOCK, isZeroBlock, padded, parseHeader, type TarHeader } from '../tar/header.ts'

export interface TarListener {
  member(header: TarHeader): void
  /** Bytes of the member that began last. Valid during the call. */
  data(bytes: Buffer): void
}

/** Looks into a tar stream that passes by. */
export class TarFeed {
  readonly #listener: TarListener
  readonly #held = Buffer.alloc(BLOCK)
  #filled = 0
  #data = 0
  #padding = 0

  constructor(listener: TarListener) {
    this.#listener = listener
  }

  write(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let at = 0; at < chunk.length;) {
      if (this.#data > 0) {
        const count = Math.min(this.#data, chunk.length - at)
        this.#listener.data(chunk.subarray(at, at + count))
        this.#data -= count
        at += count
      } else if (this.#padding > 0) {
        const count = Math.min(this.#padding, chunk.length - at)
        this.#padding -= count
        at += count
      } else {
        const count = chunk.copy(this.#held, this.#filled, at)
        this.#filled += count
        at += count
        if (this.#filled === BLOCK) this.#header()
      }
    }
  }

  #header(): void {
    this.#filled = 0
    if (isZeroBlock(this.#held)) return
    const header = parseHeader(this.#held)
    this.#data = header.size
    this.#padding = padded(header.size) - header.size
    this.#listener.member(header)
  }
}
