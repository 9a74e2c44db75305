import { type ChangeStreamState, stateOf, type StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { type ChangeBase, type ChangeGap, type ChangeReach, gapAt, reachOf } from './change-line.ts'
import { pathsBehind, startOf } from './change-paths.ts'

/** Sets that follow each other, by their ends. */
interface Way {
  readonly first: StoredChangeSet
  readonly last: StoredChangeSet
  readonly sets: number
}

export interface ChangeStretch extends ChangeReach {
  readonly change_sets: number
}

/**
 * All lines and gaps of a source, from sets that are given day by day: a week may have hundreds of thousands. Spans of compacted sets are those of the calendar,
 * so all ways to a state lie within its day, and a day goes on from where one of the days before ended.
 */
export class ChangeStretches {
  #ways = new Map<string, Way>()
  readonly #gaps: ChangeGap[] = []

  /** All sets of a day of UTC by their `to_at`, each once; later days come later. */
  addDay(sets: readonly StoredChangeSet[]): void {
    const ways = [...this.#ways]
    const known = new Map(
      ways.map(([state, { first, last }]) => [state, { at: last.to_at, rooted: startOf(first) === null }]),
    )
    const ends = new Map<string, Instant>(ways.map(([state, { last }]) => [state, last.to_at]))
    for (const set of sets) ends.set(stateOf(set), set.to_at)
    const seen = new Set<StoredChangeSet>()
    const goneOn = new Set<string>()
    const longer: Way[] = []
    for (const path of pathsBehind(known, sets)) {
      const start = startOf(path.sets[0]!)
      const before = start === null ? undefined : this.#ways.get(start)
      if (before) goneOn.add(start!)
      const first = before?.first ?? path.sets[0]!
      longer.push({ first, last: path.sets.at(-1)!, sets: (before?.sets ?? 0) + path.sets.length })
      for (const [n, set] of path.sets.entries()) {
        if (seen.has(set)) continue
        seen.add(set)
        const gap = gapAt(set, n === 0 ? before?.last : path.sets[n - 1], ends)
        if (gap) this.#gaps.push(gap)
      }
    }
    for (const state of goneOn) this.#ways.delete(state)
    for (const way of longer) this.#ways.set(stateOf(way.last), way)
  }

  /** The line that ends first before the others; one that no backup carries is left out. */
  stretches(bases: readonly ChangeBase[], stream: ChangeStreamState | null): readonly ChangeStretch[] {
    const byDate = bases.toSorted((a, b) => (a.consistent_at < b.consistent_at ? -1 : 1))
    const ways = [...this.#ways.values()].toSorted((a, b) => (a.last.to_at < b.last.to_at ? -1 : 1))
    return ways.flatMap((way) => {
      const reach = reachOf(way, byDate, stream)
      return reach ? [{ ...reach, change_sets: way.sets }] : []
    })
  }

  /** The oldest first. */
  gaps(): readonly ChangeGap[] {
    return this.#gaps.toSorted((a, b) => (a.to_at < b.to_at ? -1 : 1))
  }
}
