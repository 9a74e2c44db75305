import { BLOCK, isZeroBlock, moveBelow, padded, parseHeader, type TarHeader } from '../tar/header.ts'
import type { Room } from '../protocol/framer.ts'

/**
 * Passes a tar archive on, without the zero blocks at its end, so that a further member can follow; each of its members
 * below `folder`, if one is given. Ranges of the chunks are handed on and changed in place; only a header that lies
 * across two chunks is copied.
 */
export class ArchiveTail {
  readonly #out: (part: Buffer) => Room
  readonly #seen: (header: TarHeader) => void
  readonly #folder: string
  readonly #held = Buffer.alloc(BLOCK)
  #filled = 0
  /** Data and padding of the present member that are still to come. */
  #left = 0
  #ended = false
  /** The first header, byte for byte: the form in which the server writes them. */
  template: Buffer | null = null
  bytes = 0

  constructor(out: (part: Buffer) => Room, seen: (header: TarHeader) => void, folder = '') {
    this.#out = out
    this.#seen = seen
    this.#folder = folder
  }
  /** No member is cut short; and the zero block that ends an archive came, or this server sends none (before 15). */
  isComplete(major: number): boolean {
    // The folder of a tablespace may be empty; the data folder never is.
    const began = this.template !== null || this.#folder !== ''
    return this.#left === 0 && this.#filled === 0 && (this.#ended || (major < 15 && began))
  }

  /** `part` must stay as it is until the result resolves. */
  write(part: Buffer): Room {
    if (this.#ended) return undefined
    if (this.#filled === 0) return this.#pass(part, 0)
    const count = Math.min(BLOCK - this.#filled, part.length)
    part.copy(this.#held, this.#filled, 0, count)
    this.#filled += count
    if (this.#filled < BLOCK) return undefined
    this.#filled = 0
    if (this.#isEnd(this.#held)) return undefined
    const room = this.#emit(this.#held)
    return room ? room.then(() => this.#pass(part, count)) : this.#pass(part, count)
  }

  #pass(part: Buffer, from: number): Room {
    let at = from
    while (at < part.length) {
      if (this.#left > 0) {
        const count = Math.min(this.#left, part.length - at)
        this.#left -= count
        at += count
      } else if (part.length - at >= BLOCK) {
        if (this.#isEnd(part.subarray(at, at + BLOCK))) break
        at += BLOCK
      } else {
        this.#filled = part.copy(this.#held, 0, at)
        break
      }
    }
    return at > from ? this.#emit(part.subarray(from, at)) : undefined
  }

  #isEnd(block: Buffer): boolean {
    if (isZeroBlock(block)) {
      this.#ended = true
      return true
    }
    const header = parseHeader(block)
    this.template ??= Buffer.from(block)
    this.#left = padded(header.size)
    this.#seen(header)
    if (this.#folder !== '') moveBelow(block, this.#folder)
    return false
  }

  #emit(part: Buffer): Room {
    this.bytes += part.length
    return this.#out(part)
  }
}
