const CHUNK_BYTES = 128 << 10

/** Images of pages, each in its newest form, as far as a few megabytes hold them. */
export class PageMemory {
  readonly #page_size: number
  readonly #most: number
  readonly #places = new Map<number, Buffer>()
  #chunk = Buffer.alloc(0)

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

  /** Undefined: it was not kept. */
  at(page: number): Buffer | undefined {
    return this.#places.get(page)
  }

  *[Symbol.iterator](): Generator<readonly [number, Buffer]> {
    yield* this.#places
  }

  clear(): void {
    this.#places.clear()
    this.#chunk = Buffer.alloc(0)
  }

  #newPlace(page: number): Buffer | null {
    if (this.#places.size >= this.#most) return null
    if (this.#chunk.length < this.#page_size)
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, this.#page_size))
    const place = this.#chunk.subarray(0, this.#page_size)
    this.#chunk = this.#chunk.subarray(this.#page_size)
    this.#places.set(page, place)
    return place
  }
}
