/** How many pieces of work of each kind this process does side by side, whoever brings them. */
export class Slots {
  readonly #limits: (kind: string) => number
  readonly #taken = new Map<string, number>()
  readonly #waiting = new Map<string, (() => void)[]>()

  constructor(limits: (kind: string) => number) {
    this.#limits = limits
  }
  free(kind: string): number {
    return this.#limits(kind) - (this.#taken.get(kind) ?? 0)
  }
  /** Waits for room, then does the work. */
  async run<T>(kind: string, work: () => Promise<T>): Promise<T> {
    while (this.free(kind) <= 0) await this.#room(kind)
    this.#taken.set(kind, (this.#taken.get(kind) ?? 0) + 1)
    try {
      return await work()
    } finally {
      this.#taken.set(kind, this.#taken.get(kind)! - 1)
      this.#waiting.get(kind)?.shift()?.()
    }
  }
  #room(kind: string): Promise<void> {
    return new Promise((resolve) => {
      const line = this.#waiting.get(kind) ?? []
      line.push(resolve)
      this.#waiting.set(kind, line)
    })
  }
}
