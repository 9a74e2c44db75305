import { type FSWatcher, statSync, watch } from 'node:fs'

/** How often the files are looked at where nothing tells of a write, as on file systems without such events. */
const LOOK_MS = 1_000
/** After a write to the log; and how often it is asked whether that still goes on. */
const SOON_MS = 100
/** Between two looks while the log is written to all the time: nobody waits for them then. */
const WRITTEN_MS = 500
/** After a write to the main file, which is a checkpoint's: seldom, and somebody may be waiting. */
const CHECKPOINT_MS = 25
/** While a backup waits for a moment in which everything is in the main file. */
const ASIDE_MS = 2

/**
 * When the log is looked at next: soon after either file was written to. A checkpoint of the application that wants to begin the log anew (RESTART,
 * TRUNCATE) keeps writers out until no snapshot is older than its last frame, and then until none was begun before all frames were in
 * the main file; each time it waits for our next look. So it is looked again soon after the log was written to last, and seldom while
 * it is written to. The kernel tells of one write for each look, not of every one.
 */
export class LookPace implements Disposable {
  readonly #path: string
  readonly #longestMs: number
  #ofLog: FSWatcher | null = null
  #ofMain: FSWatcher | null = null
  #wasWritten = false
  /** The log when it was written to, or asked for, last. Null: a write to the main file brings the next look. */
  #log: string | null = null
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
    this.#log = null
    this.#begunAt = performance.now()
    this.#againMs = Math.min(2 * this.#againMs, LOOK_MS)
    this.#ofLog ??= this.#watch(`${this.#path}-wal`, () => {
      this.#ofLog = closed(this.#ofLog)
      this.#log = this.#logNow()
      this.#written()
    })
    this.#ofMain ??= this.#watch(this.#path, () => {
      this.#againMs = CHECKPOINT_MS
      this[Symbol.dispose]()
      this.#log = null
      this.#written()
    })
    return wasWritten
  }

  /** Until the next look is due, or the signal aborts. */
  async rest(signal: AbortSignal): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const end = (): void => resolve()
    const due = (): void => (this.#isWritten() ? hurry(SOON_MS) : end())
    let timer: NodeJS.Timeout | undefined
    const hurry = (ms = this.#dueMs()): void => {
      clearTimeout(timer)
      timer = setTimeout(due, ms)
    }
    const asked = (): void => hurry()
    this.#hurry = asked
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    else hurry()
    await over
    clearTimeout(timer)
    if (this.#hurry === asked) this.#hurry = null
    signal.removeEventListener('abort', end)
  }

  /** Something changed that makes the next look due sooner. */
  hurry(): void {
    this.#hurry?.()
  }

  [Symbol.dispose](): void {
    this.#ofLog = closed(this.#ofLog)
    this.#ofMain = closed(this.#ofMain)
  }

  #dueMs(): number {
    if (this.isAsked()) return ASIDE_MS
    const wait = Math.min(this.#wasWritten ? SOON_MS : LOOK_MS, this.#againMs, this.#longestMs)
    return Math.max(0, this.#begunAt + wait - performance.now())
  }

  #watch(path: string, onWrite: () => void): FSWatcher | null {
    try {
      const watcher = watch(path, { persistent: false }, onWrite)
      watcher.on('error', () => undefined)
      return watcher
    } catch {
      // No log yet, or the system's watches are used up: the clock alone tells then.
      return null
    }
  }

  #written(): void {
    this.#wasWritten = true
    this.hurry()
  }

  /** Whether the log was written to since that was asked, and the next look has time. */
  #isWritten(): boolean {
    const before = this.#log
    if (before === null || this.isAsked()) return false
    const longest = Math.min(WRITTEN_MS, this.#longestMs)
    if (performance.now() - this.#begunAt + SOON_MS > longest) return false
    this.#log = this.#logNow()
    return this.#log !== null && this.#log !== before
  }

  #logNow(): string | null {
    const file = statSync(`${this.#path}-wal`, { throwIfNoEntry: false })
    return file === undefined ? null : `${file.ino} ${file.size} ${file.mtimeMs}`
  }
}

function closed(watcher: FSWatcher | null): null {
  watcher?.close()
  return null
}
