import { type FSWatcher, statSync, watch } from 'node:fs'
import { epochMicros, type Instant } from '@salvor/shared/vocabulary/instant'

/** How often the files are looked at where nothing tells of a write, as on file systems without such events. */
const LOOK_MS = 1_000
/** A log that was not written to for so long may have somebody waiting for us. */
const SILENCE_MS = 75
/** Between two questions whether it is still written to, where its time tells nothing. */
const SHORTEST_MS = 40
/** After a write to the main file, which is a checkpoint's: seldom, and somebody may be waiting. */
const CHECKPOINT_MS = 25
/** While a backup waits for a moment in which everything is in the main file. */
const ASIDE_MS = 2

/**
 * When the log is looked at next: soon after either file was written to. A checkpoint of the application that wants to begin the log anew (RESTART,
 * TRUNCATE) keeps writers out until no snapshot is older than its last frame, and then until none was begun before all frames were in
 * the main file; each time it waits for our next look. So it is looked again as soon as nobody writes to the log any more, and seldom while
 * it is written to: nobody waits for us then. The kernel tells of the first write; whether others follow is asked.
 */
export class LookPace implements Disposable {
  readonly #path: string
  readonly #longestMs: number
  readonly #now: () => Instant
  #ofLog: FSWatcher | null = null
  #ofMain: FSWatcher | null = null
  /** Either file was written to since the last look. */
  #wasWritten = false
  /** The log is asked for by the clock, and not watched. */
  #isBusy = false
  /** The log when it was asked for last, and when it would have been silent for long enough. */
  #log: string | null = null
  #askAt = 0
  /** The main file was written to: when that is over, nothing tells. So it is looked again, ever later. */
  #againMs = LOOK_MS
  #begunAt = Number.NEGATIVE_INFINITY
  #latestAt = 0
  #hurry: (() => void) | null = null
  /** A backup asks for looks without a pause. */
  isAsked: () => boolean = () => false

  /** `now`: the wall clock, by which the times of files go. */
  constructor(path: string, everyMs: number, now: () => Instant) {
    this.#now = now
    this.#path = path
    this.#longestMs = Math.min(LOOK_MS, everyMs)
  }

  /** Before each look: a write from now on brings the next one. True: one brought this one. */
  begin(): boolean {
    const wasWritten = this.#wasWritten
    this.#wasWritten = false
    this.#begunAt = performance.now()
    this.#againMs = Math.min(2 * this.#againMs, LOOK_MS)
    if (this.#isBusy) this.#log = this.#logNow()
    else this.#watchLog()
    this.#ofMain ??= this.#watch(this.#path, () => {
      this.#ofMain = closed(this.#ofMain)
      this.#againMs = CHECKPOINT_MS
      this.#written()
    })
    return wasWritten
  }

  /** Until the next look is due, or the signal aborts. `withinMs`: one is due by then in any case. */
  async rest(signal: AbortSignal, withinMs: number = LOOK_MS): Promise<void> {
    this.#latestAt = Math.min(this.#begunAt + this.#longestMs, performance.now() + Math.max(SILENCE_MS, withinMs))
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const end = (): void => resolve()
    let timer: NodeJS.Timeout | undefined
    const wait = (ms = this.#dueMs()): void => {
      clearTimeout(timer)
      timer = setTimeout(due, ms)
    }
    const due = (): void => (this.#isDue() ? end() : wait())
    const hurry = (): void => wait()
    this.#hurry = hurry
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    else wait()
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
    this.#ofLog = closed(this.#ofLog)
    this.#ofMain = closed(this.#ofMain)
  }

  #dueMs(): number {
    if (this.isAsked()) return ASIDE_MS
    if (this.#isBusy) return Math.min(Math.max(SHORTEST_MS, this.#askAt - performance.now()), this.#againMs)
    return Math.max(0, Math.min(this.#begunAt + this.#againMs, this.#latestAt) - performance.now())
  }

  /** Asked when a wait is over. */
  #isDue(): boolean {
    if (!this.#isBusy || this.isAsked()) return true
    const before = this.#log
    this.#log = this.#logNow()
    const goesOn = this.#log !== null && this.#log !== before
    if (goesOn) {
      this.#wasWritten = true
      this.#againMs = LOOK_MS
      return performance.now() + SILENCE_MS > this.#latestAt
    }
    this.#isBusy = false
    if (this.#wasWritten) return true
    this.#watchLog()
    // What came before it was watched.
    if (this.#logNow() !== this.#log) this.#written()
    return false
  }

  #watchLog(): void {
    this.#ofLog ??= this.#watch(`${this.#path}-wal`, () => {
      this.#ofLog = closed(this.#ofLog)
      this.#written()
    })
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
    this.#isBusy = true
    this.#log = this.#logNow()
    this.#ofLog = closed(this.#ofLog)
    this.hurry()
  }

  #logNow(): string | null {
    const file = statSync(`${this.#path}-wal`, { throwIfNoEntry: false })
    if (file === undefined) return null
    const silentMs = Math.max(0, Number(epochMicros(this.#now())) / 1000 - file.mtimeMs)
    this.#askAt = performance.now() + SILENCE_MS - silentMs
    return `${file.ino} ${file.size} ${file.mtimeMs}`
  }
}

function closed(watcher: FSWatcher | null): null {
  watcher?.close()
  return null
}
