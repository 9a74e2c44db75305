const CHUNK_BYTES = 128 << 10

/**
 * Chunks that serve again, whichever set they served: dead ones, a few megabytes a second, make Node collect the garbage of its whole heap, which
 * costs more than all else that is done for a set.
 */
const free: Buffer[] = []
/** What two sets take at most: one is filled while the other is stored. */
const MOST_FREE = 64

/** The bytes are whatever was there before. */
export function takeChunk(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES)
}

/** Nobody uses it, or a part of it, any more. */
export function giveChunk(chunk: Buffer): void {
  if (free.length < MOST_FREE) free.push(chunk)
}

/** Images of pages, each in its newest form, as far as a few megabytes hold them. */
export class PageMemory {
  readonly #page_size: number
  readonly #most: number
  readonly #places = new Map<number, Buffer>()
  #chunks: Buffer[] = []
  #room: Buffer = Buffer.alloc(0)

  constructor(pageSize: number, mostBytes: number) {
    this.#page_size = pageSize
    this.#most = Math.floor(mostBytes / pageSize)
  }

  /** False: it is full, and the page is not in it. */
  keep(page: number, image: Buffer): boolean {
    const place = this.#places.get(page) ?? this.#newPlace(page)
    place?.set(image)
    return place !== null
  }

  /** Undefined: it was not kept. Valid until `clear`. */
  at(page: number): Buffer | undefined {
    return this.#places.get(page)
  }

  *[Symbol.iterator](): Generator<readonly [number, Buffer]> {
    yield* this.#places
  }

  clear(): void {
    this.#places.clear()
    for (const chunk of this.#chunks) giveChunk(chunk)
    this.#chunks = []
    this.#room = Buffer.alloc(0)
  }

  #newPlace(page: number): Buffer | null {
    if (this.#places.size >= this.#most) return null
    if (this.#room.length < this.#page_size) {
      this.#room = takeChunk()
      this.#chunks.push(this.#room)
    }
    const place = this.#room.subarray(0, this.#page_size)
    this.#room = this.#room.subarray(this.#page_size)
    this.#places.set(page, place)
    return place
  }
}
