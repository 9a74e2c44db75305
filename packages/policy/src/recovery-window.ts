import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { Lsn } from '@salvor/shared/vocabulary/lsn'
import { WalLine, type RecoveryFacts } from './wal-line.ts'

/** A stretch of time to any instant of which a source can be recovered. */
export interface RecoveryStretch {
  readonly system_id: string
  readonly timeline: number
  readonly earliest_at: Instant
  readonly latest_at: Instant
  readonly end_lsn: Lsn
  /** Backups from which a recovery can start, the oldest first. */
  readonly backups: readonly string[]
}

/** All stretches, the oldest first. A backup without WAL behind it is one of a single instant. */
export function recoveryWindow(facts: RecoveryFacts): readonly RecoveryStretch[] {
  const stretches = new Map<string, RecoveryStretch>()
  const lines = linesOf(facts)
  for (const base of facts.bases.toSorted((a, b) => (a.consistent_at < b.consistent_at ? -1 : 1))) {
    const { backup_id, system_id, consistent_at, stop_lsn } = base
    const reaches = lines.flatMap((line) => line.reachOf(base) ?? [])
    const alone = { timeline: base.timeline, end_lsn: stop_lsn, latest_at: consistent_at }
    for (const { timeline, end_lsn, latest_at } of reaches.length > 0 ? reaches : [alone]) {
      const key = `${system_id} ${timeline} ${end_lsn}`
      const found = stretches.get(key)
      const backups = [...(found?.backups ?? []), ...(found?.backups.includes(backup_id) ? [] : [backup_id])]
      const earliest_at = found?.earliest_at ?? consistent_at
      const latest = found && found.latest_at > latest_at ? found.latest_at : latest_at
      stretches.set(key, { system_id, timeline, earliest_at, latest_at: latest, end_lsn, backups })
    }
  }
  return [...stretches.values()].toSorted((a, b) => (a.earliest_at < b.earliest_at ? -1 : 1))
}

/** Every timeline that is not an ancestor of another one, of every cluster, the newest last. */
export function linesOf(facts: RecoveryFacts): readonly WalLine[] {
  const clusters = new Map<string, Set<number>>()
  const add = (system_id: string, timeline: number): void => {
    clusters.set(system_id, (clusters.get(system_id) ?? new Set()).add(timeline))
  }
  for (const { system_id, timeline } of facts.bases) add(system_id, timeline)
  for (const { system_id, timeline } of facts.wal) if (system_id !== null) add(system_id, timeline)
  return [...clusters].flatMap(([system_id, timelines]) => {
    const ancestors = new Set([...timelines].flatMap((one) => (facts.histories.get(one) ?? []).map((a) => a.timeline)))
    const ends = [...timelines].filter((one) => !ancestors.has(one)).toSorted((a, b) => a - b)
    return ends.map((timeline) => new WalLine(facts, system_id, timeline))
  })
}
