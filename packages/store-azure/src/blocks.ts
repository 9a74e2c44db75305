import type { Hash } from 'node:crypto'

export const MiB = 1024 * 1024
const SMALLEST = 16 * MiB
/** A blob has at most 50,000 blocks. */
export const MOST_BLOCKS = 50_000
/** From here on blocks are twice as large, so that a blob of unknown size can grow to a terabyte. */
const SECOND_HALF = MOST_BLOCKS / 2

/** Bytes of a block at the beginning of a blob of this size. */
export function blockSizeFor(size: number | null): number {
  return Math.max(SMALLEST, Math.ceil((size ?? 0) / MOST_BLOCKS / MiB) * MiB)
}

export function blockSizeAt(blockSize: number, index: number): number {
  return index < SECOND_HALF ? blockSize : 2 * blockSize
}

/**
 * The name of a block: its number and the SHA-256 of all bytes of the blob up to its end. Two attempts, or two writers,
 * use one name only for the same bytes, so that a commit can never mix them; and whoever reads the list of committed
 * blocks knows what they hold. All names have one length, as the service demands.
 */
export function blockId(index: number, upToHere: Hash): string {
  const number = Buffer.alloc(4)
  number.writeUInt32BE(index)
  return Buffer.concat([number, upToHere.copy().digest()]).toString('base64')
}

/** Where another attempt goes on. The service's own list says which blocks are there; this says up to where they are proven. */
export interface Progress {
  readonly block_size: number
  readonly blocks: number
  /** The service named the checksum of each of them. */
  readonly echoed: boolean
}

export function toToken({ block_size, blocks, echoed }: Progress): string | null {
  return blocks === 0 ? null : JSON.stringify({ v: 1, block_size, blocks, echoed })
}

/** Null: a token that says nothing. */
export function fromToken(token: string | null | undefined): Progress | null {
  try {
    const { v, block_size, blocks, echoed } = JSON.parse(token ?? '') as Record<string, unknown>
    const isSize = Number.isInteger(block_size) && Number(block_size) >= SMALLEST && Number(block_size) % MiB === 0
    const isCount = Number.isInteger(blocks) && Number(blocks) > 0 && Number(blocks) <= MOST_BLOCKS
    if (v !== 1 || !isSize || !isCount || Number(block_size) > 4000 * MiB) return null
    return { block_size: Number(block_size), blocks: Number(blocks), echoed: echoed === true }
  } catch {
    return null
  }
}

/** Collects the bytes of one block. Grows with what comes, so that a small object takes little memory. */
export class BlockBuffer {
  #limit: number
  #bytes: Buffer
  #length = 0

  constructor(limit: number, first = 64 * 1024) {
    this.#limit = limit
    this.#bytes = Buffer.allocUnsafe(Math.min(first, limit))
  }
  get isFull(): boolean {
    return this.#length === this.#limit
  }
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }
  /** Empty again, for the next block. */
  reset(limit: number): this {
    this.#limit = limit
    this.#length = 0
    return this
  }
  /** Takes as much as there is room for; gives how much. */
  append(chunk: Uint8Array): number {
    const taken = Math.min(chunk.length, this.#limit - this.#length)
    if (this.#length + taken > this.#bytes.length) this.#grow(this.#length + taken)
    this.#bytes.set(chunk.subarray(0, taken), this.#length)
    this.#length += taken
    return taken
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.min(this.#limit, Math.max(needed, this.#bytes.length * 2)))
    larger.set(this.bytes)
    this.#bytes = larger
  }
}
