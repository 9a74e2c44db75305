import { type FSWatcher, watch } from 'node:fs'

/** How often the files are looked at where nothing tells of a write, as on file systems without such events. */
const LOOK_MS = 1_000
/** Between two looks, however much is written. */
const SOON_MS = 100
/** While a backup waits for a moment in which everything is in the main file. */
const ASIDE_MS = 2

/**
 * When the log is looked at next: soon after either file was written to. A checkpoint of the application that wants to begin the log anew (RESTART,
 * TRUNCATE) keeps writers out until no snapshot is older than its last frame, and then until none was begun before all frames were in
 * the main file; each time it waits for our next look. The kernel tells of one write for each look, not of every one.
 */
export class LookPace implements Disposable {
  readonly #path: string
  readonly #longestMs: number
  #watchers: FSWatcher[] = []
  #wasWritten = false
  /** The main file was written to: when that is over, nothing tells. So it is looked again, ever later. */
  #againMs = LOOK_MS
  #begunAt = Number.NEGATIVE_INFINITY
  #hurry: (() => void) | null = null
  /** A backup asks for looks without a pause. */
  isAsked: () => boolean = () => false

  constructor(path: string, everyMs: number) {
    this.#path = path
    this.#longestMs = Math.min(LOOK_MS, everyMs)
  }

  /** Before each look: a write from now on brings the next one. True: one brought this one. */
  begin(): boolean {
    const wasWritten = this.#wasWritten
    this.#wasWritten = false
    this.#begunAt = performance.now()
    this.#againMs = Math.min(2 * this.#againMs, LOOK_MS)
    if (this.#watchers.length > 0) return wasWritten
    const log = this.#watch(`${this.#path}-wal`, () => this.#written())
    const main = this.#watch(this.#path, () => {
      this.#againMs = SOON_MS
      this.#written()
    })
    this.#watchers = [...log, ...main]
    return wasWritten
  }

  /** Until the next look is due, or the signal aborts. */
  async rest(signal: AbortSignal): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const end = (): void => resolve()
    let timer: NodeJS.Timeout | undefined
    const hurry = (): void => {
      clearTimeout(timer)
      timer = setTimeout(end, this.#dueMs())
    }
    this.#hurry = hurry
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    else hurry()
    await over
    clearTimeout(timer)
    if (this.#hurry === hurry) this.#hurry = null
    signal.removeEventListener('abort', end)
  }

  /** Something changed that makes the next look due sooner. */
  hurry(): void {
    this.#hurry?.()
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers) watcher.close()
    this.#watchers = []
  }

  #dueMs(): number {
    if (this.isAsked()) return ASIDE_MS
    const wait = Math.min(this.#wasWritten ? SOON_MS : LOOK_MS, this.#againMs, this.#longestMs)
    return Math.max(0, this.#begunAt + wait - performance.now())
  }

  #watch(path: string, onWrite: () => void): FSWatcher[] {
    try {
      const watcher = watch(path, { persistent: false }, onWrite)
      watcher.on('error', () => undefined)
      return [watcher]
    } catch {
      // No log yet, or the system's watches are used up: the clock alone tells then.
      return []
    }
  }

  #written(): void {
    this[Symbol.dispose]()
    this.#wasWritten = true
    this.hurry()
  }
}
