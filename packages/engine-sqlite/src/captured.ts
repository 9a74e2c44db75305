import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { LogFollower, type Look } from './changes/log-follower.ts'
import { startFollower } from './changes/log-helper.ts'
import { LookPace } from './changes/look-pace.ts'
import { PendingSet } from './changes/pending-set.ts'
import { WalFile } from './changes/wal-file.ts'
import type { DatabaseFacts, ReportOf } from './child/messages.ts'
import { HEADER_BYTES, unusedRanges } from './header.ts'
import { copyPath, type Route, type Work } from './route.ts'
import { assertRoom, copyToScratch } from './scratch-copy.ts'
import { sourceFailure } from './sqlite-failure.ts'
import { limitError } from './wal-watch.ts'

/** How long commits are counted before it is decided how to copy. Of a database that is copied sooner than in SHORT_S it is not asked. */
const COUNT_MS = 250
const SHORT_S = 0.5
const LOOK_MS = 1_000
const RESET_TRIES = 16

/** Whether the log would outgrow its bound while the held state leaves, by what is committed right now. */
export async function outgrows({ facts }: ReportOf<'frozen'>, { site, sqlite, signal }: Work): Promise<boolean> {
  const { copy_bytes_s, wal_bytes } = site.limits
  const seconds = (facts.page_count * facts.page_size) / copy_bytes_s
  if (seconds < SHORT_S) return false
  await pause(COUNT_MS, undefined, { signal }).catch(() => undefined)
  sqlite.tell({ command: 'count' })
  const { frames } = await sqlite.next('counted')
  return ((frames * facts.page_size) / (COUNT_MS / 1000)) * seconds > wal_bytes / 2
}

/**
 * Lets the held state go before the log grows: the file is copied aside while it is written to, and every page that was committed meanwhile
 * is captured from the log and laid over the copy, which is the state of the last look then. Takes the room of the database in the
 * scratch folder, twice where everything changes. SOURCE_LOG_GREW where the log grows all the same.
 */
export async function copyCaptured(start: ReportOf<'frozen'>, work: Work): Promise<Route> {
  const { site, found, sqlite: holder, signal } = work
  const { source, scratch_dir: scratch, now } = site.context
  const { lock_wait_ms, write_lock_ms } = site.limits
  const size = start.facts.page_count * start.facts.page_size
  await assertRoom(scratch, size)
  const failure = sourceFailure({ source, what: site.path, waited_ms: lock_wait_ms, scratch })
  const request = { path: found.path, lock_wait_ms, may_move: true }
  await using helper = startFollower({ request, file: start.file, write_lock_ms, alone: true, signal, failure })
  const { page_size, file } = await helper.next('following')
  if (file.ino !== start.file.ino || file.dev !== start.file.dev) throw new SalvorError('SOURCE_CHANGED', { source })
  await using wal = new WalFile(found.path, page_size)
  await using changed = new PendingSet(join(scratch, 'captured.pages'), scratch, page_size)
  using pace = new LookPace(found.path, LOOK_MS)
  const capture = new Capture(new LogFollower(helper, wal, now), changed, work)
  await capture.begin()
  holder.tell({ command: 'release' })
  await holder.next('released')
  site.context.progress({ phase: 'copy aside', done_bytes: 0, total_bytes: size })
  const stopped = new AbortController()
  const copying = copyToScratch(
    found.path,
    copyPath(site),
    size,
    AbortSignal.any([signal, stopped.signal]),
    'shrinking',
  )
  const done = new AbortController()
  const ended = copying.finally(() => done.abort())
  ended.catch(() => undefined)
  try {
    while (!done.signal.aborted) {
      pace.begin()
      await capture.look()
      await pace.rest(AbortSignal.any([signal, done.signal]))
      if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
    }
    const copied = await ended
    const { at } = await capture.look()
    const same = await stat(found.path, { bigint: true }).catch(() => null)
    if (same?.ino !== file.ino || same.dev !== file.dev) throw new SalvorError('SOURCE_CHANGED', { source })
    const facts = await layOver(copyPath(site), changed, copied, start.facts, source)
    return {
      route: 'captured',
      facts,
      consistent_at: at,
      lock_ms: Math.max(start.lock_ms, capture.lock_ms),
      attempts: start.attempts,
      restarts: 0,
      wal_grown_bytes: capture.log_bytes,
    }
  } finally {
    stopped.abort()
    await ended.catch(() => undefined)
  }
}

/** Looks at the log, and keeps it short. */
class Capture {
  readonly #follower: LogFollower
  readonly #changed: PendingSet
  readonly #work: Work
  lock_ms = 0
  /** The most that lay in the log. */
  log_bytes = 0

  constructor(follower: LogFollower, changed: PendingSet, work: Work) {
    this.#follower = follower
    this.#changed = changed
    this.#work = work
  }

  /** While the state is held: nothing that was committed since then is in the main file, all of it is in the log. */
  async begin(): Promise<void> {
    this.#saw(await this.#follower.beginWhole(this.#changed))
  }

  async look(): Promise<Look> {
    const { limits, context } = this.#work.site
    let look = this.#saw(await this.#follower.look(this.#changed, true))
    const most = limits.log_frames * this.#changed.page_size
    for (let attempt = 1; attempt <= RESET_TRIES && look.log_bytes > most; attempt += 1) {
      const reset = await this.#follower.reset(this.#changed)
      this.lock_ms = Math.max(this.lock_ms, reset.lock_ms)
      if (reset.look !== null) look = this.#saw(reset.look)
      if (reset.whole) break
    }
    if (look.log_bytes <= limits.wal_bytes) return look
    throw limitError(context.source, look.log_bytes, limits.wal_bytes)
  }

  #saw(look: Look): Look {
    this.log_bytes = Math.max(this.log_bytes, look.log_bytes)
    return look
  }
}

/** Makes the copy the state of the last look. `copied`: bytes of the file that could be read; it may have become shorter for a while. */
async function layOver(
  copy: string,
  changed: PendingSet,
  copied: number,
  held: DatabaseFacts,
  source: string,
): Promise<DatabaseFacts> {
  const { page_size } = held
  const page_count = changed.isEmpty ? held.page_count : changed.page_count
  const size = page_size * page_count
  const unused = new Set(unusedRanges(size, page_size).map(({ offset }) => offset / page_size + 1))
  for (let page = Math.floor(copied / page_size) + 1; page <= page_count; page += 1)
    if (!changed.has(page) && !unused.has(page)) throw new SalvorError('SOURCE_CHANGED', { source })
  const handle = await open(copy, 'r+')
  try {
    await changed.writeInto(handle)
    await handle.truncate(size)
    const header = Buffer.alloc(HEADER_BYTES)
    await handle.read(header, 0, HEADER_BYTES, 0)
    const auto_vacuum = header.readUInt32BE(52) === 0 ? 0 : header.readUInt32BE(64) === 0 ? 1 : 2
    const numbers = { user_version: header.readInt32BE(60), application_id: header.readInt32BE(68) }
    return { ...held, page_count, auto_vacuum, ...numbers }
  } finally {
    await handle.close()
  }
}
