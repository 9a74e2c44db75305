import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { lsnValue, type Lsn } from '@salvor/shared/vocabulary/lsn'
import { shownTarget, type RecoveryTarget } from '@salvor/shared/vocabulary/recovery'
import type { RestorePoint, StoredWal } from '@salvor/shared/vocabulary/wal'
import { linesOf } from './recovery-window.ts'
import { WalLine, type Reach, type RecoveryBase, type RecoveryFacts } from './wal-line.ts'

export interface RecoveryWish {
  readonly source: string
  readonly target: RecoveryTarget
  /** Null: the newest. */
  readonly timeline: number | null
  /** The backup to start from; null: the newest that serves. */
  readonly backup_id: string | null
}

export interface RecoveryPlan {
  readonly backup_id: string
  readonly timeline: number
  /** As the server is to be told: `latest` also where nothing was committed between the stored WAL's end and the instant asked for. */
  readonly target: RecoveryTarget
  /** WAL to fetch, in the order of replay; nothing beyond the target. */
  readonly pieces: readonly StoredWal[]
  /** The instant whose state comes back, as far as commit times tell. */
  readonly recovers_to: Instant
}

/** Picks the backup and just the WAL that a target needs. TARGET_OUTSIDE_WINDOW, with the nearest that can be had. */
export function planRecovery(facts: RecoveryFacts, wish: RecoveryWish): RecoveryPlan {
  const refused = (reason: string) =>
    new SalvorError('TARGET_OUTSIDE_WINDOW', { source: wish.source, target: shownTarget(wish.target), reason })
  const named = wish.backup_id
  const bases = named === null ? facts.bases : facts.bases.filter(({ backup_id }) => backup_id === named)
  if (bases.length === 0)
    throw refused(
      named === null ? 'it has no backup that WAL can be replayed on' : `no WAL can be replayed on backup ${named}`,
    )
  let first: SalvorError | null = null
  for (const system_id of clustersOf(bases)) {
    try {
      return choose(reachesOf(facts, wish, bases, system_id, refused), wish.target, refused)
    } catch (error) {
      if (!(error instanceof SalvorError)) throw error
      first ??= error
    }
  }
  throw first!
}

/** A source whose server was replaced has the WAL of several clusters; the one with the newest backup comes first. */
function clustersOf(bases: readonly RecoveryBase[]): readonly string[] {
  const newestFirst = bases.toSorted((a, b) => (a.consistent_at > b.consistent_at ? -1 : 1))
  return [...new Set(newestFirst.map(({ system_id }) => system_id))]
}

function reachesOf(
  facts: RecoveryFacts,
  { timeline }: RecoveryWish,
  bases: readonly RecoveryBase[],
  system_id: string,
  refused: (reason: string) => SalvorError,
): readonly Reach[] {
  const lines = linesOf(facts).filter((line) => line.system_id === system_id)
  const line = timeline === null ? lines.at(-1) : new WalLine(facts, system_id, timeline)
  const reaches = bases.flatMap((base) => line?.reachOf(base) ?? []).toSorted(byStop)
  if (line && reaches.length > 0) return reaches
  const whose = timeline === null ? 'no WAL' : `no WAL of timeline ${timeline}`
  throw refused(`${whose} is stored behind any backup`)
}

const byStop = (a: Reach, b: Reach): number => (lsnValue(a.base.stop_lsn) < lsnValue(b.base.stop_lsn) ? -1 : 1)

function choose(
  reaches: readonly Reach[],
  target: RecoveryTarget,
  refused: (reason: string) => SalvorError,
): RecoveryPlan {
  switch (target.kind) {
    case 'latest':
      return whole(farthest(reaches), target)
    case 'xid':
      // Where a transaction commits is known by replay alone: from the oldest backup of the newest stretch none is missed.
      return whole(oldestOf(reaches), target)
    case 'time':
      return byTime(reaches, target.at, refused)
    case 'lsn':
      return byPosition(reaches, target.lsn, target, refused)
    default: {
      const point = pointOf(reaches, target.name)
      if (!point) throw refused('no restore point of that name is in the stored WAL')
      // By its position: the server would stop at the first point of that name, this is the last.
      const position: RecoveryTarget = { kind: 'lsn', lsn: point.lsn }
      return { ...byPosition(reaches, point.lsn, position, refused), recovers_to: point.at }
    }
  }
}

/** The newest backup among those that reach farthest. */
function farthest(reaches: readonly Reach[]): Reach {
  const end = reaches.map(({ end_lsn }) => lsnValue(end_lsn)).reduce((a, b) => (a > b ? a : b))
  return reaches.findLast(({ end_lsn }) => lsnValue(end_lsn) === end)!
}

function oldestOf(reaches: readonly Reach[]): Reach {
  const end = farthest(reaches).end_lsn
  return reaches.find(({ end_lsn }) => end_lsn === end)!
}

function whole({ base, pieces, timeline, latest_at }: Reach, target: RecoveryTarget): RecoveryPlan {
  return { backup_id: base.backup_id, timeline, target, pieces, recovers_to: latest_at }
}

function byTime(reaches: readonly Reach[], at: Instant, refused: (reason: string) => SalvorError): RecoveryPlan {
  const before = reaches.filter(({ base }) => base.consistent_at <= at)
  if (before.length === 0) {
    throw refused(`the oldest backup that WAL can be replayed on is of ${reaches[0]!.base.consistent_at}`)
  }
  const serving = before.filter(({ latest_at }) => latest_at >= at)
  // The worker's clock dates a backup, the server's its commits: one in which a later commit is consistent only behind the target.
  const reach = serving.findLast((one) => !isWithin(one, beyond(one, at))) ?? serving.at(-1)
  if (!reach) {
    const latest = before.map(({ latest_at }) => latest_at).reduce((a, b) => (a > b ? a : b))
    const later = reaches.find(({ base }) => base.consistent_at > at)
    const next = later ? `, and begins again at ${later.base.consistent_at}` : ''
    throw refused(`the stored WAL without a gap ends at ${latest}${next}`)
  }
  const first = beyond(reach, at)
  // Nothing was committed behind it: the server would look for a later commit in vain, and refuse to start.
  if (first === -1) return { ...whole(reach, { kind: 'latest' }), recovers_to: at }
  const last = Math.max(
    first,
    reach.pieces.findIndex(({ end_lsn }) => lsnValue(end_lsn!) >= lsnValue(reach.base.stop_lsn)),
  )
  // The record of that commit may end in the next piece.
  return { ...whole(reach, { kind: 'time', at }), pieces: reach.pieces.slice(0, last + 2), recovers_to: at }
}

/** The first piece with a commit behind the instant; -1: none. */
function beyond({ pieces }: Reach, at: Instant): number {
  return pieces.findIndex(({ last_commit_at }) => last_commit_at !== null && last_commit_at > at)
}

function isWithin({ base, pieces }: Reach, piece: number): boolean {
  return piece !== -1 && lsnValue(pieces[piece]!.start_lsn!) < lsnValue(base.stop_lsn)
}

function byPosition(
  reaches: readonly Reach[],
  lsn: Lsn,
  target: RecoveryTarget,
  refused: (reason: string) => SalvorError,
): RecoveryPlan {
  const at = lsnValue(lsn)
  const before = reaches.filter(({ base }) => lsnValue(base.stop_lsn) <= at)
  if (before.length === 0)
    throw refused(`the oldest backup that WAL can be replayed on ends at ${reaches[0]!.base.stop_lsn}`)
  const reach = before.findLast(({ end_lsn }) => lsnValue(end_lsn) >= at)
  if (!reach) throw refused(`the stored WAL without a gap ends at ${farthest(before).end_lsn}`)
  // The record at a position may end in the next piece.
  const last = reach.pieces.findIndex(({ end_lsn }) => lsnValue(end_lsn!) > at)
  const pieces = last === -1 ? reach.pieces : reach.pieces.slice(0, last + 2)
  const lastCommit = reach.pieces.findLast(({ last_commit_lsn }) => last_commit_lsn !== null)?.last_commit_lsn ?? null
  const isTip = target.kind === 'lsn' && (lastCommit === null || at > lsnValue(lastCommit))
  const commits = pieces.flatMap(({ last_commit_at, last_commit_lsn }) =>
    last_commit_at !== null && last_commit_lsn !== null && lsnValue(last_commit_lsn) <= at ? [last_commit_at] : [],
  )
  const recovers_to = commits.reduce((a, b) => (a > b ? a : b), reach.base.consistent_at)
  return { ...whole(reach, isTip ? { kind: 'latest' } : target), pieces, recovers_to }
}

/** The last one of that name. */
function pointOf(reaches: readonly Reach[], name: string): RestorePoint | undefined {
  const named = (reach: Reach) =>
    reach.pieces.flatMap(({ restore_points }) => restore_points).filter((point) => point.name === name)
  const newest = named(farthest(reaches)).at(-1)
  return newest ?? reaches.flatMap(named).at(-1)
}
