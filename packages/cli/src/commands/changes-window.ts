import type { ChangeGap } from '@salvor/policy/change-line'
import { type ChangeStretch, ChangeStretches } from '@salvor/policy/change-stretches'
import { carriersOf, changeSetsByDay } from '@salvor/runtime/change-facts'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import pc from 'picocolors'
import { unreadableIn, unreadableLines } from '../from-store.ts'
import { done, span, table, type Answer } from '../output.ts'

/** `salvor window` of a source with change sets: stretches of them, backups alone, and the gaps. */
export async function changesWindow(runtime: Runtime, source: string, from: string | null): Promise<Answer> {
  const { deps } = runtime
  const { bases: carriers, stream } = await carriersOf(deps, source)
  const found = new ChangeStretches()
  for await (const day of changeSetsByDay(deps, source, from)) found.addDay(day)
  const lines = found.stretches(carriers, stream)
  const within = new Set(lines.flatMap(({ bases }) => bases.map(({ backup_id }) => backup_id)))
  const stretches = [
    ...lines.filter(isOutside).map(({ bases, change_sets, earliest_at, latest_at }) => {
      const backups = bases.map(({ backup_id }) => backup_id)
      return { earliest_at, latest_at, backups, change_sets }
    }),
    ...carriers
      .filter(({ backup_id }) => !within.has(backup_id))
      .map(({ backup_id, consistent_at: at }) => {
        return { earliest_at: at, latest_at: at, backups: [backup_id], change_sets: 0 }
      }),
  ].toSorted((a, b) => (a.earliest_at < b.earliest_at ? -1 : 1))
  const all = found.gaps()
  const gaps = all.filter(({ thinned }) => !thinned)
  const thinned = thinnedIn(all)
  const now = await deps.catalog.now()
  const unreadable = unreadableIn(runtime)
  const head = ['EARLIEST (UTC)', 'LATEST (UTC)', 'BACKUPS', 'CHANGE SETS'].map((word) => pc.dim(word))
  const rows = stretches.map((stretch) => [
    shown(stretch.earliest_at),
    stretch.latest_at === stretch.earliest_at ? pc.dim('this instant alone') : shown(stretch.latest_at),
    String(stretch.backups.length),
    String(stretch.change_sets),
  ])
  const text = [
    ...(rows.length === 0
      ? [pc.yellow(`${source} has no backup that can be read: salvor backup ${source}`)]
      : table([head, ...rows])),
    ...gaps.map(({ from_at, to_at, reason }) => `${pc.red('gap')}  ${shown(from_at)} to ${shown(to_at)}: ${reason}`),
    ...(thinned ? [thinnedLine(thinned)] : []),
    ...(stream ? [streamLine(stream, now)] : []),
    ...unreadableLines(unreadable),
  ]
  return done({ source, stretches, gaps, thinned, stream, unreadable }, text, EXIT.done)
}

const shown = (at: string): string => at.replace('T', ' ').replace('Z', '')

/** Not within another one, as the end of a worker that was thought dead is. */
function isOutside(line: ChangeStretch, n: number, lines: readonly ChangeStretch[]): boolean {
  return lines.every((other, i) => {
    const around = other.earliest_at <= line.earliest_at && other.latest_at >= line.latest_at
    const same = other.earliest_at === line.earliest_at && other.latest_at === line.latest_at
    return other === line || !around || (same && n < i)
  })
}

/** Of how much time not every instant is kept, though nothing was lost; null: of none. */
interface ThinnedTime {
  readonly from_at: string
  readonly to_at: string
  readonly instants: number
}

function thinnedIn(gaps: readonly ChangeGap[]): ThinnedTime | null {
  const thinned = gaps.filter((gap) => gap.thinned)
  const [first, last] = [thinned[0], thinned.at(-1)]
  return first && last ? { from_at: first.from_at, to_at: last.to_at, instants: thinned.length } : null
}

function thinnedLine({ from_at, to_at, instants }: ThinnedTime): string {
  return pc.dim(
    `thinned  ${shown(from_at)} to ${shown(to_at)}: ${instants} instants of that time are kept, at the ends of hours or days`,
  )
}

function streamLine(
  {
    method,
    covered_until,
    trouble,
    at,
  }: { method: string | null; covered_until: string | null; trouble: string | null; at: string },
  now: string,
): string {
  if (trouble !== null) return `${pc.red('stream')}  ${trouble} ${pc.dim(`(${shown(at)})`)}`
  const behind = span(Math.max(0, elapsedMs(covered_until ?? at, now)))
  const how = method === 'scan' ? ', by comparing every page, since a rollback journal tells nothing' : ''
  return pc.dim(`stream  everything committed until ${behind} ago is stored${how} (said ${shown(at)})`)
}
