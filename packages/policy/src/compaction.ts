import { type CompactedPiece, stateOf, type StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { epochMicros, instantOf, type Instant, shifted } from '@salvor/shared/vocabulary/instant'
import { type ChangePath, changePaths, fewestSteps } from './change-paths.ts'

/** Spans of UTC that get one set each, however many were stored in them; the longer ones are made of the shorter ones. */
export const SPANS_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const
/** A set may still be on its way into the store. */
const SETTLES_MS = 120_000
/** Plain bytes of a set, below what a document can describe. */
const LARGEST_BYTES = 2_000_000_000

/** One set that is to be made of others. */
export interface Compaction {
  /** Tells it from every other one. */
  readonly key: string
  /** Oldest first; at least one. Those before the last one that stands on its base are not needed. */
  readonly inputs: readonly StoredChangeSet[]
  readonly piece: Omit<CompactedPiece, 'page_count' | 'pages'>
}

/**
 * What can be compacted now, all of one length of span: when that is stored, the next one may be asked for. Nothing is in it twice, and nothing that is
 * stored already. `tried`: keys of those that were asked for already, made or not; one that cannot be made holds up no longer span.
 */
export function compactions(
  sets: readonly StoredChangeSet[],
  now: Instant,
  tried: ReadonlySet<string> = new Set(),
): readonly Compaction[] {
  const paths = changePaths(sets)
  const until = shifted(now, -SETTLES_MS)
  for (const span of Object.values(SPANS_MS)) {
    const found = new Map<string, Compaction>()
    for (const path of paths) {
      for (const [from, to] of stepsBySpan(path, span)) {
        if (spanEnd(path.sets[from]!.to_at, span) > until) break
        const one = compaction(fewestSteps(path, from, to))
        if (one && !tried.has(one.key)) found.set(one.key, one)
      }
    }
    if (found.size > 0) return [...found.values()]
  }
  return []
}

/** First and last step of each span of a path, by the instants that they bring. */
export function stepsBySpan({ sets }: Pick<ChangePath, 'sets'>, span: number): readonly (readonly [number, number])[] {
  const windows: [number, number][] = []
  let last: bigint | null = null
  for (const [n, { to_at }] of sets.entries()) {
    const own = spanOf(to_at, span)
    if (own === last) windows.at(-1)![1] = n
    else windows.push([n, n])
    last = own
  }
  return windows
}

/** The number of the span that an instant is in. */
function spanOf(at: Instant, span: number): bigint {
  return epochMicros(at) / 1000n / BigInt(span)
}

/** When the span of `at` begins. */
export function spanStart(at: Instant, span: number): Instant {
  return instantOf(spanOf(at, span) * BigInt(span) * 1000n)
}

export function spanEnd(at: Instant, span: number): Instant {
  return shifted(spanStart(at, span), span)
}

/** Null: there is nothing to be made, or it cannot be. */
function compaction(steps: readonly StoredChangeSet[]): Compaction | null {
  const [first, last] = [steps[0]!, steps.at(-1)!]
  if (steps.length === 1) return null
  const from = steps.findLastIndex(({ stands_on }) => stands_on === 'base')
  const inputs = steps.slice(Math.max(0, from))
  const { page_size, to_at, state_sha256, position } = last
  const most = Math.max(...inputs.map(({ page_count }) => page_count))
  const brought = inputs.reduce((sum, { pages }) => sum + pages, 0)
  if (Math.min(most, brought) * page_size > LARGEST_BYTES) return null
  if (inputs.some((set) => set.page_size !== page_size)) return null
  const { base, stands_on } = inputs[0]!
  const from_at = stands_on === 'previous' ? first.from_at : endOf(last.method === 'scan' ? first : inputs[0]!)
  const line = { base, method: last.method, stands_on, previous: first.previous, lost: first.lost }
  const state = { page_size, state_sha256, position, brings_state_of: stateOf(last) }
  const key = `${stateOf(last)} ${from_at}`
  return { key, inputs, piece: { ...line, from_at, to_at, ...state } }
}

/** Of the oldest state in what stands on its base; all that is known of the time before is the base. */
function endOf({ stands_on, brings_state_of, from_at, to_at }: StoredChangeSet): Instant {
  return stands_on === 'base' && brings_state_of === null ? to_at : from_at
}
