import { setTimeout as pause } from 'node:timers/promises'
import { coded, type Report, type RequestOf } from './messages.ts'
import { copyInTransaction } from './backup-api.ts'
import { makeCompany } from './company.ts'
import { untilReleased } from './follow.ts'
import { Follower } from './follower.ts'
import { freeze, openFreezer, type Freezer } from './freeze-holder.ts'
import { followJournaled } from './journaled.ts'
import { moveBeside } from './mover.ts'
import { identityOf, openSource } from './open-source.ts'
import { goFirst } from './priority.ts'
import type { Line } from './line.ts'

type Hold = RequestOf<'hold'>

/** A writer that is short of processors holds the lock until its next turn. */
const RESET_WAIT_MS = 60

/** Holds one consistent state of a database in use for as long as the parent wants to read it. */
export async function hold(request: Hold, line: Line): Promise<Report> {
  using source = openSource(request.path)
  if (!source.wal) return await followJournaled(request, source, line)
  const freezer = openFreezer(source, request.lock_wait_ms, line)
  // The name may have got another file, or the file another mode, since it was looked at.
  const { dev, ino } = identityOf(request.path)
  const same = ino === source.file.ino && dev === source.file.dev
  if (!same || freezer.journalMode() !== 'wal') throw coded('EREPLACED', 'replaced while it was opened')

  const stepBack = goFirst()
  const frozen = await tryToFreeze(freezer, request).finally(stepBack)
  line.report({ ...frozen, file: source.file })
  let command = await line.next()
  while (command.command === 'count') {
    const { log, checkpointed } = freezer.progress()
    line.report({ report: 'counted', log, checkpointed })
    command = await line.next()
  }
  if (command.command === 'copy') {
    await copyInTransaction(freezer.reader, request.copy, frozen.facts)
    line.report({ report: 'copied' })
    command = await line.next()
  }
  if (command.command === 'follow') {
    const { path, lock_wait_ms } = request
    await using mover = moveBeside(path)
    const follower = new Follower(
      source,
      { path, lock_wait_ms, reset_wait_ms: RESET_WAIT_MS, may_move: true },
      line,
      mover,
    )
    line.report({ report: 'following', file: source.file, page_size: follower.page_size })
    await untilReleased(follower, line, makeCompany(), lock_wait_ms, () => freezer.release())
  } else freezer.release()
  return { report: 'released', lock_ms: frozen.lock_ms }
}

/**
 * A reader of the application that stays in an old snapshot keeps frames from being moved for as long as it likes: after
 * the deadline a plain read transaction is held instead, from which the fallback copies. `lock_ms` is the longest hold of
 * all tries.
 */
async function tryToFreeze(freezer: Freezer, request: Hold) {
  const begun = performance.now()
  let longest = 0
  for (let attempt = 1; ; attempt += 1) {
    const last = attempt >= request.attempts || performance.now() - begun > request.deadline_ms
    const seen = freeze(freezer, { attempt, accept: last ? 'any' : 'whole', follower_ms: request.follower_ms })
    longest = Math.max(longest, seen.lock_ms)
    if (seen.snapshot) {
      const { whole, ...snapshot } = seen.snapshot
      return {
        report: whole ? ('frozen' as const) : ('pinned' as const),
        ...snapshot,
        lock_ms: longest,
        attempts: attempt,
      }
    }
    await pause(attempt < 16 ? 2 : 100)
  }
}
