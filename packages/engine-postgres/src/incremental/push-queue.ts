/** Turns pushed chunks into ones that are asked for, one at a time: `push` resolves when its chunk was taken and the next is wanted. */
export class PushQueue implements AsyncIterable<Uint8Array> {
  #chunk: Uint8Array | null = null
  #ended = false
  #taken: PromiseWithResolvers<void> | null = null
  #more = Promise.withResolvers<void>()
  #failure: { readonly error: unknown } | null = null

  push(chunk: Uint8Array): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.error)
    this.#chunk = chunk
    this.#taken = Promise.withResolvers()
    this.#more.resolve()
    return this.#taken.promise
  }

  end(): void {
    this.#ended = true
    this.#more.resolve()
  }

  /** The taker gave up: whoever pushes hears of it. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#taken?.reject(error)
    this.#taken = null
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      await this.#more.promise
      if (this.#chunk === null) {
        if (this.#ended) return
        throw new TypeError('a queue that is taken from twice')
      }
      yield this.#chunk
      this.#chunk = null
      if (!this.#ended) this.#more = Promise.withResolvers()
      this.#taken?.resolve()
      this.#taken = null
    }
  }
}
