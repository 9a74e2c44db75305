import { setTimeout as pause } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import type { Company } from './company.ts'
import type { Line } from './line.ts'
import { coded, type FollowRequest, type Report, type Ticks } from './messages.ts'
import { type Mover, type Progress, progressOf } from './mover.ts'
import type { OpenSource } from './open-source.ts'
import { goFirst } from './priority.ts'
import { isBusy, untilFree } from './until-free.ts'

/** The rest that is moved under the write lock: at most this, and only where the last pass was quick (its fsyncs). */
const REST_BYTES = 1_000_000
const REST_MS = 6
/** The longest that writers are kept out while the parent reads the last frames. */
const READ_MS = 4
/** Looks for a moment in which nobody commits, before writers are kept out for it. */
const QUIET_TRIES = 20
/** From then on writers come in again, whatever the disk is at. */
const LOCKED_MS = 7
/** Of a pass that goes before the writers: how long they are kept out at once, how long they come in between, and how often. */
const FIRST_MS = 6
const BETWEEN_MS = 2
const FIRST_HOLDS = 100
/** What a lock of another program is waited for without giving the thread to the other followers. */
export const BUSY_MS = 25
/** A writer that is behind leaves microseconds between two commits, which a few looks would miss. */
const NAP_MS = 0.1
const NOTHING = new Int32Array(new SharedArrayBuffer(4))

interface Moment {
  readonly at: Ticks
  readonly version: number
  readonly log: number
  readonly checkpointed: number
}

class Reader {
  readonly #begin: Database.Statement
  readonly #read: Database.Statement
  readonly #end: Database.Statement
  #open = false

  constructor(database: Database.Database) {
    this.#begin = database.prepare('BEGIN')
    this.#read = database.prepare('SELECT count(*) FROM sqlite_schema').pluck()
    this.#end = database.prepare('ROLLBACK')
  }
  begin(): void {
    if (this.#open) throw new Error('a snapshot is held already')
    this.#begin.run()
    this.#open = true
    try {
      untilFree(() => this.#read.get(), BUSY_MS)
    } catch (error) {
      this.end()
      throw error
    }
  }
  end(): void {
    if (this.#open) this.#end.run()
    this.#open = false
  }
}

/**
 * Keeps the write-ahead log from losing frames that the parent has not read: one snapshot is held until the next one is and
 * everything between them was read. While a reader holds a snapshot whose frames are not all in the main file, nobody resets the
 * log; while it holds one whose frames are, nobody moves later frames, so that the log is reset once at most.
 */
export class Follower {
  readonly page_size: number
  readonly #request: FollowRequest
  readonly #line: Line
  readonly #writer: Database.Database
  readonly #lock: Database.Statement
  readonly #unlock: Database.Statement
  readonly #version: Database.Statement<[], number>
  readonly #mover: Mover
  readonly #noop: Database.Statement<[], Progress>
  /** The snapshot that is held, and the reader for the next one. */
  #held: Reader
  #next: Reader
  #seen = Number.NaN
  /** Each time that writers were kept out since the last look began. */
  #holds: number[] = []
  #lockedAt = 0

  constructor(source: OpenSource, request: FollowRequest, line: Line, mover: Mover) {
    this.#request = request
    this.#line = line
    this.#mover = mover
    const writer = source.connect(BUSY_MS)
    writer.pragma('busy_timeout = 0')
    this.#held = new Reader(source.connect(BUSY_MS, 'read-only'))
    this.#next = new Reader(source.connect(BUSY_MS, 'read-only'))
    this.#noop = source.connect(BUSY_MS).prepare('PRAGMA wal_checkpoint(NOOP)')
    this.#writer = writer
    this.#lock = writer.prepare('BEGIN IMMEDIATE')
    this.#unlock = writer.prepare('ROLLBACK')
    this.#version = writer.prepare<[], number>('PRAGMA data_version').pluck()
    this.page_size = Number(writer.pragma('page_size', { simple: true }))
  }

  journalMode(): string {
    return String(this.#writer.pragma('journal_mode', { simple: true }))
  }

  /** Holds the newest snapshot beside the one that is held. Its instant is exact: nobody committed around it. */
  advance(): Report {
    this.#holds = []
    return this.#advanced(this.#moment())
  }

  read(hold: boolean): void {
    this.#held.end()
    ;[this.#held, this.#next] = [this.#next, this.#held]
    if (!hold) this.#held.end()
  }

  /**
   * Brings all frames into the main file while nobody commits, and holds that state: the next writer begins the log anew. What was
   * committed since the last snapshot is reported first (`advanced`) and read by the parent meanwhile; one that is slow costs the try.
   */
  async reset(company: Company, urgent: boolean): Promise<Report> {
    const { whole, late } = await company.alone(() => this.#movedAll(urgent))
    if (late !== null) {
      await late.read
      this.read(true)
    }
    const holds_ms = this.#holds
    this.#holds = []
    return { report: 'moved', whole, holds_ms }
  }

  async #movedAll(urgent: boolean) {
    const begun = performance.now()
    if (!(urgent && this.#mover.isPunctual && (await this.#passFirst()))) await this.#mover.pass()
    const quick = this.#request.may_move && (this.#mover.isPunctual || performance.now() - begun < REST_MS)
    const stepBack = goFirst()
    let whole = false
    let late: { readonly read: Promise<unknown> } | null = null
    try {
      if (!this.#takeLock(this.#request.reset_wait_ms)) return { whole, late }
      const until = performance.now() + LOCKED_MS
      try {
        late = await this.#readRest(quick)
        if (late === null && this.#isMoved(quick, until)) {
          this.#next.begin()
          this.read(true)
          whole = true
        }
      } finally {
        this.#dropLock()
      }
    } finally {
      stepBack()
    }
    return { whole, late }
  }

  /**
   * A pass during which writers come in at short moments only, so that less is written than is moved; without that, a disk that others use as well may
   * never keep up with them. False: it could not begin.
   */
  async #passFirst(): Promise<boolean> {
    const over = new AbortController()
    let holds = 0
    const pass = this.#mover.pass().finally(() => over.abort())
    pass.catch(() => undefined)
    const stepBack = goFirst()
    try {
      for (; holds < FIRST_HOLDS && !over.signal.aborted; holds += 1) {
        if (!this.#takeLock(this.#request.reset_wait_ms)) break
        await Promise.race([pass, pause(FIRST_MS)]).finally(() => this.#dropLock())
        await Promise.race([pass, pause(BETWEEN_MS)])
      }
    } finally {
      stepBack()
    }
    await pass
    return holds > 0
  }

  /** Under the write lock. Not null: the parent is late, or there is too much; it says when it has read. */
  async #readRest(quick: boolean): Promise<{ readonly read: Promise<unknown> } | null> {
    if (this.#dataVersion() === this.#seen) return null
    const { log, checkpointed } = progressOf(this.#noop)
    this.#line.report(this.#snapshot())
    const read = this.#line.next()
    if (!quick || (log - checkpointed) * this.page_size > REST_BYTES) return { read }
    if (!(await Promise.race([read.then(() => true), pause(READ_MS).then(() => false)]))) return { read }
    this.read(true)
    return null
  }

  #isMoved(quick: boolean, until: number): boolean {
    const seen = progressOf(this.#noop)
    const rest = seen.log - seen.checkpointed
    if (rest === 0) return true
    if (!quick || rest * this.page_size > REST_BYTES) return false
    const moved = this.#mover.within(until - performance.now())
    return moved?.busy === 0 && moved.log === moved.checkpointed
  }

  #moment(): Moment {
    const moment = this.#quiet() ?? this.#keptOut()
    if (moment === null) throw coded('SQLITE_BUSY', 'somebody commits all the time')
    return moment
  }

  #quiet(): Moment | null {
    for (let attempt = 1; attempt <= QUIET_TRIES; attempt += 1) {
      const before = this.#dataVersion()
      const { log, checkpointed } = progressOf(this.#noop)
      this.#next.begin()
      const at = process.hrtime.bigint()
      if (this.#dataVersion() === before) return { at, version: before, log, checkpointed }
      this.#next.end()
    }
    return null
  }

  #snapshot(): Report {
    return this.#advanced(this.#exactly())
  }

  #advanced({ at, version, log, checkpointed }: Moment): Report {
    const changed = version !== this.#seen
    this.#seen = version
    return { report: 'advanced', at, changed, log, checkpointed }
  }

  /** While writers are kept out. */
  #exactly(): Moment {
    const version = this.#dataVersion()
    const { log, checkpointed } = progressOf(this.#noop)
    this.#next.begin()
    return { at: process.hrtime.bigint(), version, log, checkpointed }
  }

  /** Null: somebody else keeps writers out. */
  #keptOut(): Moment | null {
    const stepBack = goFirst()
    try {
      if (!this.#takeLock(BUSY_MS)) return null
      try {
        return this.#exactly()
      } finally {
        this.#dropLock()
      }
    } finally {
      stepBack()
    }
  }

  /**
   * Never waits for long: a checkpoint of the application (RESTART, TRUNCATE) keeps writers out until our snapshot has moved on, which it
   * would not do while we wait here.
   */
  #takeLock(waitMs: number): boolean {
    const begun = performance.now()
    for (;;) {
      try {
        this.#lock.run()
        break
      } catch (error) {
        if (!isBusy(error)) throw error
        if (performance.now() - begun > waitMs) return false
      }
      Atomics.wait(NOTHING, 0, 0, NAP_MS)
    }
    this.#lockedAt = performance.now()
    this.#line.note({ locked: true, patient: this.#mover.isPunctual })
    return true
  }

  #dropLock(): void {
    this.#unlock.run()
    this.#holds.push(performance.now() - this.#lockedAt)
    this.#line.note({ locked: false })
  }

  #dataVersion(): number {
    return untilFree(() => this.#version.get(), BUSY_MS) ?? Number.NaN
  }
}
