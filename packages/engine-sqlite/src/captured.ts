import { stat } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { LogFollower, type Look, type Reset } from './changes/log-follower.ts'
import { LookPace } from './changes/look-pace.ts'
import { LogBroken, WalFile } from './changes/wal-file.ts'
import type { ReportOf } from './child/messages.ts'
import { goFirst } from './child/priority.ts'
import { LiveCopy } from './live-copy.ts'
import { copyPath, type Route, thousandths, type Work } from './route.ts'
import { assertRoom } from './scratch-copy.ts'
import { limitError } from './wal-watch.ts'

/** How long commits are counted before it is decided how to copy. Of a database that is copied sooner than in SHORT_S it is not asked. */
const COUNT_MS = 100
const SHORT_S = 2
const LOOK_MS = 1_000
const RESET_TRIES = 16
/** Share of its bound from which on the log comes first: the copy pauses, so that the disk is quick for checkpoints. */
const PAUSE_SHARE = 1 / 16
const URGENT_SHARE = 1 / 4
/** A reader of the application may keep the log from beginning anew for as long as it likes: then the copy pauses for this long, and goes on for this long. */
const LONGEST_PAUSE_MS = 2_000
const BETWEEN_PAUSES_MS = 1_000
/** As long, where the log is about to outgrow its bound. */
const URGENT_PAUSE_MS = 10_000

type Held = ReportOf<'frozen' | 'pinned'>

/** Whether the log would outgrow its bound while the held state leaves, by what is committed right now. */
export async function outgrows({ facts }: Held, { site, sqlite, signal }: Work): Promise<boolean> {
  const { copy_bytes_s, wal_bytes } = site.limits
  const seconds = (facts.page_count * facts.page_size) / copy_bytes_s
  if (seconds < SHORT_S) return false
  sqlite.tell({ command: 'count' })
  const before = await sqlite.next('counted')
  await pause(COUNT_MS, undefined, { signal }).catch(() => undefined)
  sqlite.tell({ command: 'count' })
  const after = await sqlite.next('counted')
  // The log may begin anew where all of it is in the main file, and only there.
  const frames = Math.max(after.log - before.log, after.log - after.checkpointed - (before.log - before.checkpointed))
  return ((frames * facts.page_size) / (COUNT_MS / 1000)) * seconds > wal_bytes / 2
}

/**
 * Lets the held state go before the log grows: the file is copied aside while it is written to, and every page that was committed meanwhile
 * is captured from the log and put over what was copied of it, which is the state of the last look then. Takes the room of the database in
 * the scratch folder. SOURCE_LOG_GREW where the log grows all the same; Overran, with nothing pushed.
 */
export async function copyCaptured(start: Held, work: Work): Promise<Route> {
  try {
    return await capturedCopy(start, work)
  } catch (error) {
    if (!(error instanceof LogBroken)) throw error
    throw new SalvorError('SOURCE_CHANGED', { source: work.site.context.source }, error)
  }
}

async function capturedCopy(start: Held, work: Work): Promise<Route> {
  const { site, found, sqlite: holder, signal } = work
  const { source, scratch_dir: scratch, now } = site.context
  const size = start.facts.page_count * start.facts.page_size
  await assertRoom(scratch, size)
  holder.tell({ command: 'follow' })
  const { page_size, file } = await holder.next('following')
  await using wal = new WalFile(found.path, page_size)
  await using copy = await LiveCopy.begin(found.path, copyPath(site), size, page_size)
  using pace = new LookPace(found.path, LOOK_MS, site.context.now)
  const capture = new Capture(new LogFollower(holder, wal, now), copy, page_size, work)
  await capture.begin()
  holder.tell({ command: 'thaw' })
  const tell = (done_bytes: number): void =>
    site.context.progress({ phase: 'copy aside', done_bytes, total_bytes: size })
  tell(0)
  const stopped = new AbortController()
  const done = new AbortController()
  const copied = copy.run(AbortSignal.any([signal, stopped.signal])).finally(() => done.abort())
  copied.catch(() => undefined)
  try {
    while (!done.signal.aborted) {
      pace.begin()
      await capture.look()
      tell(copy.copied)
      await pace.rest(AbortSignal.any([signal, done.signal]))
      if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
    }
    await copied
    tell(size)
    const { at } = await capture.look()
    const same = await stat(found.path, { bigint: true }).catch(() => null)
    if (same?.ino !== file.ino || same.dev !== file.dev) throw new SalvorError('SOURCE_CHANGED', { source })
    return {
      route: 'captured',
      facts: await copy.finish(start.facts, source),
      consistent_at: at,
      ...holdsOf([start.lock_ms, ...capture.holds_ms]),
      attempts: start.attempts,
      restarts: 0,
      wal_grown_bytes: capture.log_bytes,
    }
  } finally {
    stopped.abort()
    copy.goOn()
    await copied.catch(() => undefined)
  }
}

function holdsOf(all: readonly number[]): Pick<Route, 'lock_ms' | 'lock_count' | 'lock_p50_ms' | 'lock_p99_ms'> {
  const sorted = all.toSorted((a, b) => a - b)
  const at = (share: number): number => thousandths(sorted[Math.ceil(share * sorted.length) - 1] ?? 0)
  return { lock_ms: at(1), lock_count: sorted.length, lock_p50_ms: at(0.5), lock_p99_ms: at(0.99) }
}

/** Looks at the log, and keeps it short: where that takes the whole disk, the copy waits. */
class Capture {
  readonly #follower: LogFollower
  readonly #copy: LiveCopy
  readonly #work: Work
  readonly #pageSize: number
  #most = 0
  #pausedAt = 0
  /** After a pause that came to nothing. */
  #wentOnAt = Number.NEGATIVE_INFINITY
  /** Each time that writers were kept out. */
  readonly holds_ms: number[] = []
  /** The most that lay in the log. */
  log_bytes = 0

  constructor(follower: LogFollower, copy: LiveCopy, pageSize: number, work: Work) {
    this.#follower = follower
    this.#copy = copy
    this.#pageSize = pageSize
    this.#work = work
  }

  /** While the state is held: what was committed since then is in the log, all of it, and nowhere else. */
  async begin(): Promise<void> {
    const { log_bytes } = this.#saw(await this.#follower.beginWhole(this.#copy))
    // A reader of the application may have kept a long one already.
    this.#most = log_bytes + this.#work.site.limits.wal_bytes
  }

  async look(): Promise<Look> {
    const { limits, context } = this.#work.site
    let look = this.#saw(await this.#follower.look(this.#copy, true))
    const short = limits.log_frames * this.#pageSize
    let whole = look.log_bytes <= short
    for (let attempt = 1; attempt <= RESET_TRIES && !whole; attempt += 1) {
      await this.#makeWay(look.log_bytes)
      const reset = await this.#reset(this.#isUrgent(look.log_bytes))
      this.holds_ms.push(...reset.holds_ms)
      if (reset.look !== null) look = this.#saw(reset.look)
      whole = reset.whole
      if (whole) this.#copy.logBegins()
    }
    if (whole) {
      this.#copy.goOn()
    }
    if (whole || look.log_bytes <= this.#most) return look
    throw limitError(context.source, look.log_bytes, limits.wal_bytes)
  }

  /** Writers may be kept out until the last frames were read here. */
  async #reset(urgent: boolean): Promise<Reset> {
    const stepBack = goFirst()
    try {
      return await this.#follower.reset(this.#copy, urgent)
    } finally {
      stepBack()
    }
  }

  async #makeWay(logBytes: number): Promise<void> {
    const now = performance.now()
    if (this.#copy.isPaused) {
      if (now - this.#pausedAt < (this.#isUrgent(logBytes) ? URGENT_PAUSE_MS : LONGEST_PAUSE_MS)) return
      this.#copy.goOn()
      this.#wentOnAt = now
    } else if (logBytes > this.#work.site.limits.wal_bytes * PAUSE_SHARE && now - this.#wentOnAt > BETWEEN_PAUSES_MS) {
      this.#pausedAt = now
      await this.#copy.pause()
    }
  }

  #isUrgent(logBytes: number): boolean {
    return logBytes > this.#most * URGENT_SHARE
  }

  #saw(look: Look): Look {
    this.log_bytes = Math.max(this.log_bytes, look.log_bytes)
    return look
  }
}
