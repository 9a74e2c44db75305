import { noSource } from '@salvor/policy/fleets'
import type { AskedPoint } from '@salvor/runtime/ask-restore-point'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { instantTyped, pointsOf } from './choose-point.ts'
import type { RecoveryInstants } from './recovery-instants.ts'

/** A look at an instant reads each set since its backup, so that looking at all of many costs their square. */
const MOST_INSTANTS = 500

export interface Span {
  readonly since?: Instant
  readonly until?: Instant
}

export interface PointsWanted extends Span {
  /** Each instant of a change set, too, where they are not too many. */
  readonly every: boolean
}

export interface PointsBetween {
  /** The oldest first. */
  readonly points: readonly AskedPoint[]
  /** Instants of change sets in that time that were wanted and are left out. */
  readonly left_out: number
}

/** What was typed. USAGE. */
export function spanTyped(runtime: Runtime, { since, until }: { since?: string; until?: string }): Span {
  const from = since === undefined ? undefined : instantTyped(runtime, '--since', since, 'find-change')
  const to = until === undefined ? undefined : instantTyped(runtime, '--until', until, 'find-change')
  if (from !== undefined && to !== undefined && from > to)
    throw new SalvorError('USAGE', { reason: '--since is after --until', command: 'find-change' })
  return { ...(from !== undefined && { since: from }), ...(to !== undefined && { until: to }) }
}

/** Restore points of a time with its very ends, or what is next to them within it where an end is lost. */
export function withEnds(
  between: readonly AskedPoint[],
  { since, until }: Span,
  instants: RecoveryInstants | null,
): readonly AskedPoint[] {
  if (instants === null) return between
  const { counted, latest } = instants
  const next = (at: Instant | undefined): AskedPoint | null => (at === undefined ? null : instants.at(at))
  const to = until === undefined || until > latest ? latest : until
  if (since !== undefined && since > to) return between
  const within = counted?.filter((at) => at <= to && (since === undefined || at >= since)) ?? []
  const first = since === undefined ? null : (next(since) ?? next(within[0]))
  const last = next(to) ?? next(within.at(-1))
  const [oldest] = between
  const begins = first && (!oldest || first.at < oldest.at) ? [first] : []
  const ends = last && last.at > (between.at(-1) ?? first ?? { at: '' }).at ? [last] : []
  return [...begins, ...between, ...ends]
}

/** The restore points of a time, with its very ends where WAL or change sets reach them. SOURCE_UNKNOWN, USAGE, and those of `pointsOf`. */
export async function pointsBetween(
  runtime: Runtime,
  source: string,
  wanted: PointsWanted,
  instants: RecoveryInstants | null,
): Promise<PointsBetween> {
  const { since, until, every } = wanted
  const points = await pointsOf(runtime, source)
  if (points === null) throw noSource(source, runtime.deps.settings().fleets)
  const [from, to] = [since ?? null, until ?? null]
  const between = points.filter(({ at }) => (from === null || from <= at) && (to === null || at <= to))
  const coarse = withEnds(between, wanted, instants)
  const [oldest, newest] = [coarse[0]?.at ?? '', coarse.at(-1)?.at ?? '']
  const counted = every && instants?.counted ? instants.counted : []
  const inside = counted.filter((at) => oldest < at && at < newest)
  if (inside.length > MOST_INSTANTS) return { points: coarse, left_out: inside.length }
  const known = new Set(coarse.map(({ at }) => at))
  const fine = inside.filter((at) => !known.has(at)).flatMap((at) => instants?.at(at) ?? [])
  return { points: [...coarse, ...fine].toSorted((a, b) => (a.at < b.at ? -1 : 1)), left_out: 0 }
}
