import { stateOf, type StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import type { Instant } from '@salvor/shared/vocabulary/instant'

/** A compacted set that brings several steps of a path at once. */
export interface LongStep {
  readonly set: StoredChangeSet
  /** It brings `sets[from]` to `sets[to]`, both included. */
  readonly from: number
  readonly to: number
}

/** Sets of which each stands on the state that the one before it brings: the finest way through what is there. */
export interface ChangePath {
  /** Oldest first; at least one. */
  readonly sets: readonly StoredChangeSet[]
  readonly longer: readonly LongStep[]
}

/**
 * Every way through these sets, the one that ends first before the others. States are named by the documents that brought them first, so it does not
 * matter which sets of a way are there still. Two ways have a part in common where two workers went on from one set.
 */
export function changePaths(sets: readonly StoredChangeSet[]): readonly ChangePath[] {
  const before = found.get(sets)
  if (before) return before
  const paths = pathsOf(sets)
  found.set(sets, paths)
  return paths
}

/** Of the same list again and again: a look for a change asks for dozens of plans over hundred thousands of sets. */
const found = new WeakMap<readonly StoredChangeSet[], readonly ChangePath[]>()

/** A state that earlier sets brought. */
export interface KnownState {
  readonly at: Instant
  /** A way leads back from it to where a line begins. */
  readonly rooted: boolean
}

/** The same for sets that may go on from states that are known. */
export function pathsBehind(
  known: ReadonlyMap<string, KnownState>,
  sets: readonly StoredChangeSet[],
): readonly ChangePath[] {
  return pathsOf(sets, known)
}

function pathsOf(
  sets: readonly StoredChangeSet[],
  known: ReadonlyMap<string, KnownState> = new Map(),
): readonly ChangePath[] {
  const graph = graphOf(sets, known)
  const ends = [...graph.into.keys()].toSorted((a, b) => (graph.at.get(a)! < graph.at.get(b)! ? 1 : -1))
  const reached = new Set<string>()
  const ways = ends.flatMap((end) => {
    if (reached.has(end)) return []
    const way = wayTo(end, graph)
    for (const set of way) reached.add(stateOf(set))
    return [way]
  })
  return ways.toReversed().map((way) => ({ sets: way, longer: longerOf(way, graph) }))
}

/** The fewest sets that bring `sets[from]` to `sets[to]` of a path, oldest first. */
export function fewestSteps({ sets, longer }: ChangePath, from: number, to: number): readonly StoredChangeSet[] {
  const byEnd = Map.groupBy(longer, (step) => step.to)
  const steps: StoredChangeSet[] = []
  for (let end = to; end >= from;) {
    const fitting = (byEnd.get(end) ?? []).filter((step) => step.from >= from)
    const longest = fitting.reduce<LongStep | null>((a, b) => (a && a.from <= b.from ? a : b), null)
    steps.push(longest?.set ?? sets[end]!)
    end = (longest?.from ?? end) - 1
  }
  return steps.toReversed()
}

/** The state of the set before it, on which it stands if it does not stand on its base; null: a line begins with it. */
export function startOf({ previous, lost }: StoredChangeSet): string | null {
  return lost === null ? previous : null
}

interface Graph {
  /** What brings a state. */
  readonly into: ReadonlyMap<string, readonly StoredChangeSet[]>
  readonly at: ReadonlyMap<string, Instant>
  /** States from which a way leads back to where a line begins. */
  readonly rooted: ReadonlySet<string>
}

function graphOf(sets: readonly StoredChangeSet[], known: ReadonlyMap<string, KnownState>): Graph {
  const byEnd = sets.toSorted((a, b) => (a.to_at < b.to_at ? -1 : a.to_at > b.to_at ? 1 : 0))
  const rooted = new Set([...known].flatMap(([state, { rooted: leads }]) => (leads ? [state] : [])))
  for (const set of byEnd) {
    const start = startOf(set)
    if (start === null || rooted.has(start)) rooted.add(stateOf(set))
  }
  const at = new Map(byEnd.map((set) => [stateOf(set), set.to_at]))
  for (const [state, { at: instant }] of known) at.set(state, instant)
  return { into: Map.groupBy(byEnd, stateOf), at, rooted }
}

/** The finest of those that lead back to the beginning, if any does. */
function wayTo(end: string, graph: Graph): readonly StoredChangeSet[] {
  const way: StoredChangeSet[] = []
  for (let state: string | null = end; state !== null;) {
    const [set] = (graph.into.get(state) ?? []).toSorted((a, b) => compare(a, b, graph))
    if (!set) break
    way.push(set)
    state = startOf(set)
  }
  return way.toReversed()
}

function compare(a: StoredChangeSet, b: StoredChangeSet, { rooted, at }: Graph): number {
  const rank = (set: StoredChangeSet): string => {
    const start = startOf(set)
    const isRooted = start === null || rooted.has(start)
    return `${isRooted ? 1 : 0}${set.brings_state_of === null ? 1 : 0}${start === null ? '' : (at.get(start) ?? '')}`
  }
  return rank(a) > rank(b) ? -1 : 1
}

function longerOf(way: readonly StoredChangeSet[], { into }: Graph): readonly LongStep[] {
  const places = new Map(way.map((set, n) => [stateOf(set), n]))
  const first = startOf(way[0]!)
  return way.flatMap((own, to) => {
    const others = (into.get(stateOf(own)) ?? []).filter((set) => set !== own && set.brings_state_of !== null)
    return others.flatMap((set): LongStep[] => {
      const start = startOf(set)
      const before = start === first ? -1 : start === null ? undefined : places.get(start)
      return before === undefined || before >= to - 1 ? [] : [{ set, from: before + 1, to }]
    })
  })
}
