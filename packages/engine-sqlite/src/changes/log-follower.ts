import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { ReportOf } from '../child/messages.ts'
import { instantOfTicks } from '../site.ts'
import type { SqliteProcess } from '../sqlite-process.ts'
import { LogBroken, type LogPosition, WalFile } from './wal-file.ts'

/** Where pages come that were read from the log, in the order of the commits: the last image of a page counts. */
export interface PageTaker {
  /** Of the database after the last commit. */
  page_count: number
  /** `image` is valid until this returns. */
  add(page: number, image: Buffer): void
}

/** What one look at the log found. */
export interface Look {
  /** Everything committed until then, and nothing else, was read. */
  readonly at: Instant
  readonly changed: boolean
  /** All of the log was in the main file. */
  readonly moved: boolean
  readonly log_bytes: number
}

export interface Reset {
  /** All frames are in the main file: the next writer begins the log anew. */
  readonly whole: boolean
  /** Each time that writers were kept out, in milliseconds. */
  readonly holds_ms: readonly number[]
  readonly look: Look | null
}

/** Reads the log snapshot by snapshot: the child holds them, this process reads the bytes. */
export class LogFollower {
  readonly #sqlite: SqliteProcess
  readonly #wal: WalFile
  readonly #now: () => Instant
  #position: LogPosition | null = null
  #isHeld = false

  constructor(sqlite: SqliteProcess, wal: WalFile, now: () => Instant) {
    this.#sqlite = sqlite
    this.#wal = wal
    this.#now = now
  }

  /** Null: the log is empty. */
  get position(): LogPosition | null {
    return this.#position
  }

  /** Takes the first snapshot. With a position that the log still holds, or that it began behind, what came after goes into `pending`: true. */
  async begin(resume: LogPosition | null, pending: PageTaker): Promise<Look & { readonly resumed: boolean }> {
    const { report, look } = await this.#snapshot()
    const from = resume && (await this.#placeOf(resume, report.log))
    const resumed = from !== null
    if (report.log === 0) this.#position = null
    else if (resumed) {
      await this.#take(from, report.log, pending)
      // Nothing held it before this snapshot.
      if (this.#position?.salts !== from.salts) throw new LogBroken('it began anew while it was looked at')
    } else this.#position = await this.#wal.positionAt(report.log)
    this.#read(true)
    return { ...look, resumed }
  }

  /** Takes the first snapshot, and everything that is in the log into `pending`. */
  async beginWhole(pending: PageTaker): Promise<Look> {
    const { report, look } = await this.#snapshot()
    if (report.log > 0) await this.#take(null, report.log, pending)
    this.#read(true)
    return look
  }

  /** Where to read on in the present log so that nothing is left out; null: nothing tells. */
  async #placeOf(resume: LogPosition, log: number): Promise<LogPosition | null> {
    if (log >= resume.frames && (await this.#wal.holds(resume))) return resume
    return this.#wal.nextAfter(resume, log)
  }

  /** Reads what was committed since the last look. `hold`: nobody resets the log until the next one. LogBroken: frames were lost. */
  async look(pending: PageTaker, hold: boolean): Promise<Look> {
    const { report, look } = await this.#snapshot()
    if (report.changed || !this.#isHeld) await this.#follow(report, pending)
    this.#read(hold)
    return look
  }

  /**
   * Lets the log begin anew; what was committed since the last look is read on the way. `whole` false: somebody was committing too much,
   * or an old snapshot of another program is in the way.
   */
  async reset(pending: PageTaker, urgent = false): Promise<Reset> {
    this.#sqlite.tell({ command: 'reset', urgent })
    let report = await this.#sqlite.next('advanced', 'moved', 'overran')
    let look: Look | null = null
    if (report.report === 'advanced') {
      await this.#follow(report, pending)
      this.#read(true)
      look = this.#lookOf(report)
      report = await this.#sqlite.next('moved', 'overran')
    }
    if (report.report !== 'moved') throw overran()
    return { whole: report.whole, holds_ms: report.holds_ms, look }
  }

  async #follow({ log }: ReportOf<'advanced'>, pending: PageTaker): Promise<void> {
    const before = this.#position
    if (log === 0) this.#position = null
    else await this.#take(before, log, pending)
    const same = this.#position?.salts === before?.salts
    if (!this.#isHeld && !same) throw new LogBroken('it began anew while it was not held')
  }

  async #take(from: LogPosition | null, log: number, pending: PageTaker): Promise<void> {
    const { position, page_count } = await this.#wal.readFrames(from, log, (page, image) => pending.add(page, image))
    this.#position = position
    if (page_count > 0) pending.page_count = page_count
  }

  async #snapshot(): Promise<{ readonly report: ReportOf<'advanced'>; readonly look: Look }> {
    this.#sqlite.tell({ command: 'advance' })
    const report = await this.#sqlite.next('advanced', 'overran')
    if (report.report === 'overran') throw overran()
    return { report, look: this.#lookOf(report) }
  }

  #lookOf({ at, changed, log, checkpointed }: ReportOf<'advanced'>): Look {
    const moved = checkpointed >= log
    return { at: instantOfTicks(at, this.#now), changed, moved, log_bytes: log * this.#wal.frameBytes }
  }

  #read(hold: boolean): void {
    this.#sqlite.tell({ command: 'read', hold })
    this.#isHeld = hold
  }
}

/** The write lock was held for too long, so the child ended itself. */
export class Overran extends Error {}

function overran(): Overran {
  return new Overran('the write lock was given back because it took too long')
}
