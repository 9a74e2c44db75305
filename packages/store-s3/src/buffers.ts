/** Buffers of one upload together, the one being filled included; a part that is larger goes alone. */
const MEMORY = 48 * 1024 * 1024

/** Lends part buffers and takes them back, so that an upload's memory does not depend on the object or the line. */
export class Buffers {
  #lent = 0
  readonly #free: Buffer[] = []
  #returned: (() => void) | null = null

  /** Waits until there is room. */
  async take(size: number): Promise<Buffer> {
    while (this.#lent > 0 && this.#lent + size > MEMORY) {
      await new Promise<void>((resolve) => (this.#returned = resolve))
    }
    this.#lent += size
    const free = this.#free.pop()
    return free?.length === size ? free : Buffer.allocUnsafeSlow(size)
  }

  giveBack(buffer: Buffer): void {
    this.#lent -= buffer.length
    this.#free.push(buffer)
    this.#returned?.()
    this.#returned = null
  }

  /** Lends at once, for the first buffer of an upload. */
  first(size: number): Buffer {
    this.#lent += size
    return Buffer.allocUnsafeSlow(size)
  }

  /** A larger buffer for one that is lent, with its first `filled` bytes. */
  grown(buffer: Buffer, size: number, filled: number): Buffer {
    this.#lent += size - buffer.length
    const larger = Buffer.allocUnsafeSlow(size)
    larger.set(buffer.subarray(0, filled))
    return larger
  }
}
