import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { Lsn } from '@salvor/shared/vocabulary/lsn'

/** What a server says of its recovery (13 to 18; lc_messages is C, the zone is UTC, no prefix). */
export interface RecoveryLog {
  /** It takes connections: the target is behind it. */
  readonly ready: boolean
  readonly paused: boolean
  readonly stopped: string | null
  readonly xid: string | null
  readonly lastCommitAt: Instant | null
  readonly lsn: Lsn | null
  readonly newTimeline: number | null
  /** Why it gave up, for people; null: it did not say. */
  readonly fatal: string | null
}

export function readRecoveryLog(text: string): RecoveryLog {
  const said = (pattern: RegExp): string | null => pattern.exec(text)?.[1] ?? null
  const stopped = said(/^LOG: {2}recovery stopping (.{1,200})$/m)
  const timeline = said(/^LOG: {2}selected new timeline ID: (\d+)$/m)
  return {
    ready: /^LOG: {2}database system is ready to accept connections$/m.test(text),
    paused: /^LOG: {2}pausing at the end of recovery$/m.test(text),
    stopped,
    xid: /^after commit (?:prepared )?of transaction (\d+)/.exec(stopped ?? '')?.[1] ?? null,
    lastCommitAt: instant(said(/^LOG: {2}last completed transaction was at log time (.*)$/m)),
    lsn: said(/^LOG: {2}redo done at ([0-9A-F]+\/[0-9A-F]+)/m),
    newTimeline: timeline === null ? null : Number(timeline),
    fatal: said(/^(?:FATAL|PANIC): {2}(.{1,300})$/m)?.replace(/\p{Cc}+/gu, ' ') ?? halted(text),
  }
}

/** `2025-11-27 20:39:30.29+00`: zeros at the end are left out. */
function instant(text: string | null): Instant | null {
  const [, day, time, fraction = ''] =
    /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?\+00$/.exec(text ?? '') ?? []
  return day === undefined ? null : `${day}T${time}.${fraction.padEnd(6, '0')}Z`
}

/** A standby with smaller settings than its primary has stops for a person (14 on), and would wait for ever. */
function halted(text: string): string | null {
  return /^LOG: {2}recovery has paused$/m.test(text) ? 'it cannot be looked into with the settings here' : null
}
