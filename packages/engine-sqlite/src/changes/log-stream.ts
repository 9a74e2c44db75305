import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ChangeSink, ChangeStreamRequest } from '@salvor/shared/ports/changes'
import type { ParentBackup } from '@salvor/shared/ports/engine'
import { epochMicros, type Instant, laterOf, shifted } from '@salvor/shared/vocabulary/instant'
import type { FileIdentity } from '../child/messages.ts'
import type { Found, Site } from '../site.ts'
import { sourceFailure } from '../sqlite-failure.ts'
import { FilesWatch } from './files-watch.ts'
import { LogFollower, type Look } from './log-follower.ts'
import { startFollower } from './log-helper.ts'
import { LookPace } from './look-pace.ts'
import { meanwhile } from './meanwhile.ts'
import { newBase } from './new-base.ts'
import { LARGEST_SET, PendingSet, TooMuch } from './pending-set.ts'
import { scanSet } from './scan-set.ts'
import { SetStorer, untilStored } from './set-storer.ts'
import { answerBackups, type StepAside } from './step-aside.ts'
import { parsePosition, positionText, WalFile } from './wal-file.ts'

const SETTLE_MS = 10_000
const RESET_TRIES = 4
/** A look that comes a little early is the one at which a set is due. */
const EARLY_MS = 100
/** Other databases wait for the same thread. */
const RESET_WAIT_MS = 10

export interface LogStreamScene {
  readonly site: Site
  readonly found: Found
  readonly request: ChangeStreamRequest
  readonly sink: ChangeSink
  /** Why the line is broken; null: it may go on where the last one ended. */
  readonly lost: string | null
  /** The write lock was held for too long before. */
  readonly gentle: boolean
}

/** Follows the write-ahead log of one database. LogBroken: frames were lost, a new line has to begin. */
export async function followLog(scene: LogStreamScene, signal: AbortSignal): Promise<never> {
  const { site, found, request } = scene
  const { lock_wait_ms, write_lock_ms } = site.limits
  const { source, scratch_dir: scratch } = site.context
  const failure = sourceFailure({ source, what: site.path, waited_ms: lock_wait_ms, scratch })
  const { dev, ino } = await stat(found.path, { bigint: true })
  const follow = { path: found.path, lock_wait_ms, reset_wait_ms: RESET_WAIT_MS, may_move: !scene.gentle }
  const wish = { request: follow, file: { dev, ino }, write_lock_ms, alone: scene.gentle }
  await using sqlite = startFollower({ ...wish, signal, failure })
  const { file, page_size } = await sqlite.next('following')
  await using wal = new WalFile(found.path, page_size)
  using pace = new LookPace(found.path, request.every_ms, site.context.now)
  await using aside = await answerBackups(file, () => pace.hurry())
  pace.isAsked = () => aside.asked
  const follower = new LogFollower(sqlite, wal, site.context.now)
  await using stream = new LogStream(scene, { follower, aside, pace, page_size, file }, signal)
  return await Promise.race([stream.run(), sqlite.ended, stream.failed])
}

interface Parts {
  readonly follower: LogFollower
  readonly aside: StepAside
  readonly pace: LookPace
  readonly page_size: number
  readonly file: FileIdentity
}

class LogStream implements AsyncDisposable {
  readonly #scene: LogStreamScene
  readonly #parts: Parts
  readonly #signal: AbortSignal
  readonly #stop = new AbortController()
  readonly #storer: SetStorer
  readonly #watch: FilesWatch
  #pending: PendingSet
  /** State before the first change in `pending`. */
  #from: Instant | null = null
  /** Of the last look; none is before what an earlier run stored, though the clock may have been set back since. */
  #at: Instant
  #logBytes = 0
  #base = ''
  #flushedAt = Number.NEGATIVE_INFINITY
  #settleAt = 0
  #isSettled = false
  #isQuiet = false
  #hold = true
  #files = 0
  #running: Promise<unknown> = Promise.resolve()

  constructor(scene: LogStreamScene, parts: Parts, signal: AbortSignal) {
    this.#scene = scene
    this.#parts = parts
    this.#signal = AbortSignal.any([signal, this.#stop.signal])
    this.#at = scene.request.resume?.to_at ?? ''
    this.#storer = new SetStorer(scene.sink, this.#signal)
    this.#watch = new FilesWatch(scene.site.context.source, scene.found.path, parts.file)
    this.#pending = this.#fresh()
  }

  get failed(): Promise<never> {
    return this.#storer.failed
  }

  /** Once. */
  run(): Promise<never> {
    const running = this.#run()
    this.#running = running
    return running
  }

  async #run(): Promise<never> {
    const { request, lost } = this.#scene
    const resume = lost === null ? request.resume : null
    const position = parsePosition(resume?.position ?? null, this.#parts.file.ino)
    const first = await this.#parts.follower.begin(position, this.#pending)
    this.#saw(first)
    if (resume !== null && first.resumed) {
      this.#base = resume.base
      this.#from = resume.to_at
      this.#storer.continueFrom(resume.to_at)
    } else {
      const why = 'the log was reset, or is another one, since it was last read'
      await this.#beginLine(lost ?? (request.resume && why))
    }
    for (;;) {
      await this.#rest()
      await this.#turn()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running.catch(() => undefined)
    await this.#storer[Symbol.asyncDispose]()
    await this.#pending[Symbol.asyncDispose]()
  }

  async #turn(): Promise<void> {
    const begunAt = performance.now()
    const wasWritten = this.#parts.pace.begin()
    const before = this.#scene.site.context.now()
    const nowMs = Number(epochMicros(before) / 1000n)
    const still = (await this.#watch.isStill(nowMs, wasWritten)) && !this.#parts.aside.asked
    // Until it is settled, a snapshot may be in the way of a checkpoint that goes on without writing anything.
    if (still && this.#isSettled) this.#at = laterOf(before, this.#at)
    else {
      await this.#look()
      this.#watch.assertUntouched(this.#isQuiet)
    }
    if (still && !this.#isSettled && performance.now() >= this.#settleAt) await this.#settle()
    if (this.#logBytes > this.#scene.site.limits.log_frames * this.#parts.page_size && this.#hold) await this.#shorten()
    this.#flush(begunAt)
    this.#tell()
  }

  #look(): Promise<unknown> {
    this.#boundLog()
    return this.#took(async () => ({ look: await this.#parts.follower.look(this.#pending, this.#hold), whole: false }))
  }

  async #reset(): Promise<boolean> {
    this.#watch.assertSame()
    return this.#took(() => this.#parts.follower.reset(this.#pending))
  }

  /** Keeps what a look brought. */
  async #took(work: () => Promise<{ readonly look: Look | null; readonly whole: boolean }>): Promise<boolean> {
    const before = this.#at
    const wasEmpty = this.#pending.isEmpty
    const { look, whole } = await work()
    if (wasEmpty && !this.#pending.isEmpty && this.#from === null) this.#from = before
    if (look !== null) this.#saw(look)
    if (look?.changed === true) this.#isSettled = false
    if (look !== null) this.#isQuiet = look.moved && !look.changed
    if (this.#pending.bytes > LARGEST_SET) throw new TooMuch()
    return whole
  }

  #saw(look: Look): void {
    // A clock that was set back takes no instant twice.
    this.#at = look.at > this.#at ? look.at : shifted(this.#at, 0.001)
    this.#logBytes = look.log_bytes
  }

  /** The application's disk is not filled for a stream: beyond the bound, frames may be lost, which shows in their salts. */
  #boundLog(): void {
    const { wal_bytes } = this.#scene.site.limits
    const hold = this.#logBytes < (this.#hold ? wal_bytes : wal_bytes / 2)
    if (this.#hold && !hold) {
      const { source, log } = this.#scene.site.context
      log.warn({ source, log_bytes: this.#logBytes }, 'the write-ahead log grew to its bound: it is not held any more')
    }
    this.#hold = hold
  }

  /** Writers may begin the log anew once all of it is in the main file and read. */
  async #shorten(): Promise<void> {
    const tries = this.#logBytes > this.#scene.site.limits.wal_bytes / 8 ? 4 * RESET_TRIES : RESET_TRIES
    for (let attempt = 1; attempt <= tries && !(await this.#reset()); attempt += 1);
  }

  /** An idle database keeps nobody from resetting its log. */
  async #settle(): Promise<void> {
    this.#isSettled = await this.#reset()
    this.#settleAt = performance.now() + SETTLE_MS
  }

  #flush(lookedAt: number): void {
    const due = lookedAt - this.#flushedAt >= this.#scene.request.every_ms - EARLY_MS
    if (this.#pending.isEmpty || !due || this.#storer.isBusy) return
    const set = this.#pending
    this.#pending = this.#fresh()
    this.#flushedAt = lookedAt
    const instants = { from_at: this.#from ?? this.#at, to_at: this.#at }
    const counts = { page_size: set.page_size, page_count: set.page_count, pages: set.count() }
    this.#from = null
    this.#storer.store(set, {
      base: this.#base,
      method: 'log',
      stands_on: 'previous',
      lost: null,
      ...instants,
      ...counts,
      state_sha256: null,
      position: this.#position(),
    })
  }

  #tell(): void {
    const idle = this.#pending.isEmpty && !this.#storer.isBusy
    const covered_until = idle ? this.#at : this.#storer.storedTo
    const { trouble } = this.#storer
    this.#scene.sink.progress({ method: 'log', covered_until, log_bytes: this.#logBytes, trouble })
  }

  /** Finds what differs from the newest backup, while the log is kept and read: what comes behind the scan is in the next set. */
  async #beginLine(lost: string | null): Promise<void> {
    const { site, sink } = this.#scene
    for (let refused: string | null = null; ;) {
      const base: ParentBackup = await this.#meanwhile(newBase(sink, refused, this.#signal))
      await this.#restartPending()
      const wish = { base, before: null, lost, position: this.#position(), not_before: this.#at }
      try {
        await using scanned = await this.#meanwhile(scanSet(site, wish, this.#signal))
        if (scanned.pages * this.#parts.page_size > LARGEST_SET) throw new TooMuch()
        const tell = (trouble: SalvorError): void =>
          sink.progress({ method: 'log', covered_until: null, log_bytes: this.#logBytes, trouble })
        await this.#meanwhile(untilStored(() => scanned.store(sink), this.#signal, tell))
        this.#signal.throwIfAborted()
        this.#base = base.id
        this.#at = laterOf(scanned.at, this.#at)
        await this.#look()
        this.#from = scanned.at
        this.#storer.continueFrom(scanned.at)
        return
      } catch (error) {
        if (!(error instanceof SalvorError) || error.code !== 'FULL_NEEDED') throw error
        refused = base.id
        await sink.fullNeeded(error.facts['reason'] ?? error.message)
      }
    }
  }

  async #restartPending(): Promise<void> {
    await this.#look()
    const before = this.#pending
    this.#pending = this.#fresh()
    this.#from = null
    await before[Symbol.asyncDispose]()
  }

  #meanwhile<T>(work: Promise<T>): Promise<T> {
    const look = async (): Promise<void> => {
      this.#parts.pace.begin()
      await this.#look()
    }
    return meanwhile(work, { rest: () => this.#rest(), look, stop: () => this.#stop.abort() })
  }

  async #rest(): Promise<void> {
    const waits = this.#base !== '' && !this.#pending.isEmpty && !this.#storer.isBusy
    const dueMs = waits ? this.#flushedAt + this.#scene.request.every_ms - performance.now() : undefined
    await this.#parts.pace.rest(this.#signal, dueMs)
    if (this.#signal.aborted) throw new SalvorError('INTERRUPTED', {}, this.#signal.reason)
  }

  #position(): string | null {
    const { follower, file } = this.#parts
    return follower.position && positionText(follower.position, file.ino)
  }

  #fresh(): PendingSet {
    const { spool_dir } = this.#scene.request
    return new PendingSet(join(spool_dir, `set-${(this.#files += 1)}.pages`), spool_dir, this.#parts.page_size)
  }
}
