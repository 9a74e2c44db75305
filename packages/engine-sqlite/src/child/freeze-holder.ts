import type Database from 'better-sqlite3'
import type { DatabaseFacts, Ticks } from './messages.ts'
import { type Progress, progressOf } from './mover.ts'
import { factsOf, type OpenSource } from './open-source.ts'
import { untilFree } from './until-free.ts'
import type { Line } from './line.ts'

/** Passes that only accept an empty gap; after them a small rest may be moved under the lock. */
const PATIENT_ATTEMPTS = 8
/** The rest that is moved under the write lock: at most this, and only where the last pass was quick (its fsyncs). */
const REST_BYTES = 1_000_000
const REST_MS = 6

const NOTHING = new Int32Array(new SharedArrayBuffer(4))

/** Two connections: one takes the write lock for a moment, the other moves frames and then holds the snapshot. */
export interface Freezer {
  readonly reader: Database.Database
  readonly page_size: number
  journalMode(): string
  takeWriteLock(): void
  dropWriteLock(): void
  checkpoint(kind: 'passive' | 'noop'): Progress
  beginRead(): void
  release(): void
  /** Of the log now, also while the reader is in its transaction. */
  progress(): Progress
}

export interface Snapshot {
  /** The main file alone is the whole state, and no checkpoint can write to it while the reader lives. */
  readonly whole: boolean
  readonly facts: DatabaseFacts
  readonly at: Ticks
}

export function openFreezer(source: OpenSource, lockWaitMs: number, line: Line): Freezer {
  const reader = source.connect(lockWaitMs)
  const begin = reader.prepare('BEGIN')
  const read = reader.prepare('SELECT count(*) FROM sqlite_schema').pluck()
  const end = reader.prepare('ROLLBACK')
  const passive = reader.prepare<[], Progress>('PRAGMA wal_checkpoint(PASSIVE)')
  const noop = reader.prepare<[], Progress>('PRAGMA wal_checkpoint(NOOP)')
  const writer = source.connect(lockWaitMs)
  const lock = writer.prepare('BEGIN IMMEDIATE')
  const unlock = writer.prepare('ROLLBACK')
  const beside = writer.prepare<[], Progress>('PRAGMA wal_checkpoint(NOOP)')
  return {
    reader,
    page_size: Number(reader.pragma('page_size', { simple: true })),
    journalMode: () => String(reader.pragma('journal_mode', { simple: true })),
    takeWriteLock() {
      untilFree(() => lock.run(), lockWaitMs)
      line.note({ locked: true })
    },
    dropWriteLock() {
      unlock.run()
      line.note({ locked: false })
    },
    checkpoint: (kind) => progressOf(kind === 'passive' ? passive : noop),
    progress: () => progressOf(beside),
    beginRead() {
      begin.run()
      read.get()
    },
    release() {
      end.run()
    },
  }
}

/**
 * One try. The bulk of the log is moved without a lock; then, with writers kept out, either nothing is left to move or
 * a small rest is moved, and the reader's snapshot begins. Everything moved means that the reader holds the lock that
 * every checkpoint needs to write to the main file. `accept: 'any'` takes the snapshot even where frames are left.
 */
export function freeze(
  freezer: Freezer,
  options: { readonly attempt: number; readonly accept: 'whole' | 'any'; readonly follower_ms: number },
): { readonly snapshot: Snapshot | null; readonly lock_ms: number } {
  const begun = performance.now()
  freezer.checkpoint('passive')
  const mayMoveRest = options.attempt > PATIENT_ATTEMPTS && performance.now() - begun < REST_MS
  freezer.takeWriteLock()
  const locked = process.hrtime.bigint()
  let begunAt: { readonly whole: boolean; readonly at: Ticks } | null = null
  try {
    const whole = isWhole(freezer, mayMoveRest) || isWholeSoon(freezer, options)
    if (whole || options.accept === 'any') {
      freezer.beginRead()
      begunAt = { whole, at: process.hrtime.bigint() }
    }
  } finally {
    freezer.dropWriteLock()
  }
  const lock_ms = Number(process.hrtime.bigint() - locked) / 1e6
  return { snapshot: begunAt && { ...begunAt, facts: factsOf(freezer.reader) }, lock_ms }
}

/** A follower of Salvor's own moves its snapshot on all the time now, and with writers kept out it soon has the last one. */
function isWholeSoon(freezer: Freezer, { attempt, follower_ms }: { readonly attempt: number; follower_ms: number }) {
  if (follower_ms === 0 || attempt <= 2) return false
  const begun = performance.now()
  while (performance.now() - begun < follower_ms) {
    Atomics.wait(NOTHING, 0, 0, 1)
    if (isWhole(freezer, true)) return true
  }
  return false
}

function isWhole(freezer: Freezer, mayMoveRest: boolean): boolean {
  const seen = freezer.checkpoint('noop')
  const rest = seen.log - seen.checkpointed
  if (rest === 0) return true
  if (!mayMoveRest || rest * freezer.page_size > REST_BYTES) return false
  const moved = freezer.checkpoint('passive')
  return moved.busy === 0 && moved.log === moved.checkpointed
}
