/** Frames in slots of bounded number, the one that was used longest ago given up first. */
export class FrameCache {
  readonly #slots: number
  readonly #load: (artifact: number, frame: number, slot: number) => boolean
  /** Slot of each frame, in the order of use. */
  readonly #held = new Map<string, number>()

  /** `load` fills a slot before it returns; false: the frame cannot be had. */
  constructor(slots: number, load: (artifact: number, frame: number, slot: number) => boolean) {
    this.#slots = slots
    this.#load = load
  }

  /** The slot that holds the frame until the next call; null: it cannot be had. */
  slotOf(artifact: number, frame: number): number | null {
    const key = `${artifact}:${frame}`
    const held = this.#held.get(key)
    this.#held.delete(key)
    const slot = held ?? this.#free()
    if (held === undefined && !this.#load(artifact, frame, slot)) {
      // The slot belongs to nobody now: it is given out again in its turn.
      this.#held.set(`lost ${slot}`, slot)
      return null
    }
    this.#held.set(key, slot)
    return slot
  }

  #free(): number {
    if (this.#held.size < this.#slots) return this.#held.size
    const [oldest, slot] = this.#held.entries().next().value!
    this.#held.delete(oldest)
    return slot
  }
}
