/** The running checksum of a write-ahead log: over its header, then over the first 8 bytes and the page of each frame. */
export interface Checksum {
  readonly a: number
  readonly b: number
}

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/** Goes on behind a checksum, in place: a busy log has thousands of frames a second. */
export class RunningChecksum implements Checksum {
  a: number
  b: number
  readonly #swapped: boolean

  /** `bigEndian`: how the log says that its words are to be read. */
  constructor({ a, b }: Checksum, bigEndian: boolean) {
    this.a = a
    this.b = b
    this.#swapped = bigEndian === LITTLE_ENDIAN
  }

  get value(): Checksum {
    return { a: this.a, b: this.b }
  }

  /** Adds an even number of words, as this machine reads them. */
  add(words: Int32Array, from: number, to: number): void {
    let [x, y] = [this.a | 0, this.b | 0]
    if (this.#swapped)
      for (let i = from; i < to; i += 2) {
        x = (x + swapped(words[i]!) + y) | 0
        y = (y + swapped(words[i + 1]!) + x) | 0
      }
    else
      for (let i = from; i < to; i += 2) {
        x = (x + words[i]! + y) | 0
        y = (y + words[i + 1]! + x) | 0
      }
    this.a = x >>> 0
    this.b = y >>> 0
  }
}

function swapped(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
}
