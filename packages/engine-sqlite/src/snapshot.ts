import { rm, stat, writeFile } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { ParentBackup, SnapshotFacts } from '@salvor/shared/ports/engine'
import { copyCaptured, outgrows } from './captured.ts'
import { Overran } from './changes/log-follower.ts'
import { askFollower } from './changes/step-aside.ts'
import type { DatabaseFacts, ReportOf } from './child/messages.ts'
import { pushFrozen } from './frozen.ts'
import { copyJournaled } from './journaled.ts'
import { pushChanges, pushWhole, type PushedState } from './pages/push-state.ts'
import { openRaw } from './raw-file.ts'
import { assertRoom } from './scratch-copy.ts'
import { assertLocalDisk, findDatabase, instantOfTicks, type Found, type Site } from './site.ts'
import { sourceFailure } from './sqlite-failure.ts'
import { startSqlite, type SqliteProcess } from './sqlite-process.ts'
import { copyPath, pushRaw, rejectOnAbort, thousandths } from './route.ts'
import type { Push, Pushed, Route, Work } from './route.ts'
import { tellGrowth } from './tell-growth.ts'
import { watchWal } from './wal-watch.ts'

type Start = ReportOf<'frozen' | 'pinned' | 'journaled'>

/** Overruns after which frames are no longer moved under the lock, and after which the machine is called too slow. */
const OVERRUNS_MOVING = 2
const OVERRUNS = 6

/** One consistent copy of a database in use. All SQLite happens in a child; this process reads bytes only. */
export async function takeSnapshot(site: Site, sink: SnapshotSink, signal: AbortSignal): Promise<SnapshotFacts> {
  const { facts } = await take(site, sink, pushWhole, signal)
  return facts
}

/** What changed since a parent. Null: nothing did, and that was to be skipped. FULL_NEEDED. */
export async function takeChanges(
  site: Site,
  parent: ParentBackup,
  sink: SnapshotSink,
  options: { readonly skipUnchanged: boolean },
  signal: AbortSignal,
): Promise<SnapshotFacts | null> {
  const { facts, skipped } = await take(site, sink, (file) => pushChanges(file, parent, options), signal)
  return skipped ? null : facts
}

async function take(
  site: Site,
  sink: SnapshotSink,
  push: Push,
  signal: AbortSignal,
): Promise<{ readonly facts: SnapshotFacts; readonly skipped: boolean }> {
  const found = await findDatabase(site)
  for (let overruns = 0; ; overruns += 1) {
    // Of an attempt before this one. A large file takes a while, and nothing is held yet.
    await rm(copyPath(site), { force: true })
    const { start, sqlite: holder } = await startHeld(site, found, overruns, signal)
    await using sqlite = holder
    if (start.report === 'overran') {
      assertFew(overruns + 1, site)
      continue
    }
    assertLocalDisk(found, start.facts.journal_mode === 'wal', site.context.source)
    try {
      const work = { site, found, sqlite, sink, push, signal }
      const { route, state } = await follow(start, work)
      return { facts: snapshotFacts(site, found, route, state), skipped: state.digests === null }
    } catch (error) {
      if (!(error instanceof Overran)) throw error
      assertFew(overruns + 1, site)
    }
  }
}

function assertFew(overruns: number, { context }: Site): void {
  context.log.warn({ overruns }, 'the write lock was given back because it took too long')
  if (overruns < OVERRUNS) return
  throw new SalvorError('TASK_DIED', { task: 'the SQLite helper', how: 'a machine too slow for a short lock' })
}

/** A stream of Salvor's own that follows the file moves on all the time until the state is held. */
async function startHeld(site: Site, found: Found, overruns: number, signal: AbortSignal) {
  using follower = await askFollower(await stat(found.path, { bigint: true }))
  const sqlite = startHolder(site, found, overruns, follower !== null, signal)
  try {
    return { start: await sqlite.next('frozen', 'pinned', 'journaled', 'overran'), sqlite }
  } catch (error) {
    await sqlite[Symbol.asyncDispose]()
    throw error
  }
}

function startHolder(
  site: Site,
  found: Found,
  overruns: number,
  followed: boolean,
  signal: AbortSignal,
): SqliteProcess {
  const { context, limits } = site
  const request = {
    task: 'hold' as const,
    path: found.path,
    copy: copyPath(site),
    lock_wait_ms: limits.lock_wait_ms,
    write_lock_ms: limits.write_lock_ms,
    attempts: overruns < OVERRUNS_MOVING ? limits.freeze_attempts : 1,
    deadline_ms: limits.freeze_deadline_ms,
    follower_ms: followed ? limits.follower_ms : 0,
  }
  const { scratch_dir: scratch, source } = context
  const failure = sourceFailure({ source, what: site.path, waited_ms: limits.lock_wait_ms, scratch })
  return startSqlite(request, { scratch, signal, failure })
}

async function follow(start: Start, work: Work): Promise<Pushed> {
  const outgrowing = start.report !== 'journaled' && (await outgrows(start, work))
  if (start.report === 'frozen' && !outgrowing) return pushFrozen(start, work)
  const route = await (start.report === 'journaled'
    ? copyJournaled(start, work)
    : start.report === 'pinned' && !outgrowing
      ? copyPinned(start, work)
      : copyCaptured(start, work))
  return { route, state: await pushCopy(route.facts, work) }
}

/** A reader of the application kept frames from being moved: SQLite's own copy out of a read transaction. */
async function copyPinned(start: ReportOf<'pinned'>, work: Work): Promise<Route> {
  const { site, found, sqlite } = work
  const consistent_at = instantOfTicks(start.at, site.context.now)
  const bytes = start.facts.page_size * start.facts.page_count
  await assertRoom(site.context.scratch_dir, bytes)
  using watch = await watchWal(found.path, site.limits.wal_bytes, site.context.source)
  using _growth = tellGrowth(site.context, copyPath(site), bytes)
  sqlite.tell({ command: 'copy' })
  await Promise.race([sqlite.next('copied'), watch.exceeded])
  sqlite.tell({ command: 'release' })
  await sqlite.next('released')
  return {
    route: 'backup-api',
    facts: start.facts,
    consistent_at,
    lock_ms: start.lock_ms,
    attempts: start.attempts,
    restarts: 0,
    wal_grown_bytes: await watch.grown(),
  }
}

/** From the copy aside to the sink; the source is free by now. */
async function pushCopy(facts: DatabaseFacts, work: Work): Promise<PushedState> {
  const bytes = facts.page_size * facts.page_count
  const copy = copyPath(work.site)
  if (bytes === 0) await writeFile(copy, '', { mode: 0o600, flag: 'w' })
  work.site.context.progress({ phase: 'copy', done_bytes: 0, total_bytes: bytes })
  await work.sqlite[Symbol.asyncDispose]()
  using abort = rejectOnAbort(work.signal)
  const pushed = pushRaw(await openRaw(copy), facts, work)
  pushed.catch(() => undefined)
  const state = await Promise.race([pushed, abort.aborted])
  await rm(copy)
  work.site.context.progress({ phase: 'copy', done_bytes: bytes, total_bytes: bytes })
  return state
}

function snapshotFacts(site: Site, found: Found, route: Route, state: PushedState): SnapshotFacts {
  const { facts, consistent_at, ...cost } = route
  const notices = [...found.notices]
  if (route.route === 'backup-api' && facts.journal_mode === 'wal') {
    notices.push('a program kept an old snapshot open, so the copy went through the disk of sandbox_dir')
  }
  if (route.route === 'captured') {
    notices.push(
      'so much was written that the copy went through the disk of sandbox_dir, with what was committed meanwhile',
    )
  }
  if (facts.journal_mode !== 'wal') notices.push(journalNotice(route.lock_ms))
  return {
    source_db: site.path,
    consistent_at,
    engine_facts: { ...cost, lock_ms: thousandths(cost.lock_ms), ...facts, ...state.facts, consistent_at },
    notices,
    digests: state.digests,
    ...(state.digests_alike && { digests_alike: state.digests_alike }),
  }
}

export function journalNotice(lockMs: number | null): string {
  const waited = lockMs === null ? '' : ` (this time up to ${Math.ceil(lockMs)} ms)`
  return `rollback-journal mode: writers wait while a copy is read${waited}; in WAL mode they would not`
}
