import type { FramePool } from './frame-pool.ts'
import type { FrameInFlight } from './stored-frames.ts'

/** Takes frames from where they are read as fast as slots come free, and gives them out in order. Disposing ends with every slot free. */
export class FramesAhead implements AsyncDisposable {
  readonly #pool: FramePool
  readonly #arrived: FrameInFlight[] = []
  readonly #reading: Promise<void>
  readonly #held = new Set<Promise<unknown>>()
  #ended = false
  #closing = false
  #failure: { readonly error: unknown } | null = null
  #wake = Promise.withResolvers<void>()

  constructor(frames: AsyncGenerator<FrameInFlight>, pool: FramePool) {
    this.#pool = pool
    this.#reading = this.#read(frames)
  }

  /** The next frame, which may not be done yet; null when there is none. What ended the reading is told behind the frames before it. */
  async next(): Promise<FrameInFlight | null> {
    while (this.#arrived.length === 0 && !this.#ended) {
      await this.#wake.promise
      this.#wake = Promise.withResolvers()
    }
    const next = this.#arrived.shift()
    if (next) return next
    if (this.#failure) throw this.#failure.error
    return null
  }

  /** The slot of a frame that `next` gave is free, once `held` has settled. */
  release({ slot }: FrameInFlight, held: Promise<unknown> | null): void {
    if (held === null) return this.#pool.release(slot)
    const free = (): void => {
      this.#held.delete(held)
      this.#pool.release(slot)
    }
    this.#held.add(held)
    held.then(free, free)
  }

  async #read(frames: AsyncGenerator<FrameInFlight>): Promise<void> {
    try {
      for await (const frame of frames) {
        this.#arrived.push(frame)
        this.#wake.resolve()
        if (this.#closing) break
      }
    } catch (error) {
      this.#failure = { error }
    }
    this.#ended = true
    this.#wake.resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true
    await this.#drop()
    await Promise.allSettled(this.#held)
    // It may have waited for one of those slots, and taken one more frame.
    await this.#reading
    await this.#drop()
  }

  async #drop(): Promise<void> {
    for (const frame of this.#arrived.splice(0)) {
      await frame.done.catch(() => undefined)
      this.#pool.release(frame.slot)
    }
  }
}
