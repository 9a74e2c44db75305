import { noSource } from '@salvor/policy/fleets'
import { parseInstant } from '@salvor/policy/instant-text'
import { pointAt, type RestorePoint, restorePoints } from '@salvor/policy/restore-points'
import type { AskedPoint } from '@salvor/runtime/ask-restore-point'
import { hasChangeSets } from '@salvor/runtime/change-facts'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { changedPoint } from './change-instants.ts'
import { recoveryInstants } from './recovery-instants.ts'

/** An instant that was typed; USAGE if it is none. */
export function instantTyped(runtime: Runtime, option: string, text: string, command: string): Instant {
  const at = parseInstant(text, runtime.deps.settings().timezone)
  if (at !== null) return at
  const reason = `${option} ${JSON.stringify(text)} is no instant, such as "2025-11-27 14:02:59" or 2025-11-27T14:02:59Z`
  throw new SalvorError('USAGE', { reason, command })
}

/** Restore points of a source, the oldest first; null: no source is called so. BACKUP_UNKNOWN, NO_GOOD_COPY where it has none. */
export async function pointsOf({ deps }: Runtime, source: string): Promise<readonly RestorePoint[] | null> {
  const backups = await deps.catalog.backups({ source })
  const points = restorePoints(backups)
  if (points.length > 0) return points
  if (backups.length > 0) throw new SalvorError('NO_GOOD_COPY', { backup: `any backup of ${source}` })
  if (deps.settings().sources.has(source))
    throw new SalvorError('BACKUP_UNKNOWN', { backup: `source ${source} (it has none yet)` })
  return null
}

export interface PointWanted {
  readonly at?: string
  readonly backup?: string
}

/**
 * What `open SOURCE|BACKUP [--at TIME|--backup B]` names: the state of TIME where WAL or change sets reach it, or a certain backup's. A source that has
 * change sets is refused what `restore` refuses; of others it is the newest backup that is not after TIME.
 */
export async function choosePoint(
  runtime: Runtime,
  what: string,
  wanted: PointWanted,
  store: string | null,
  signal: AbortSignal,
): Promise<AskedPoint> {
  const { at, backup } = wanted
  const usage = (reason: string) => new SalvorError('USAGE', { reason, command: 'open' })
  if (at !== undefined && backup !== undefined) throw usage('name one of --at and --backup')
  if (backup !== undefined) return named(runtime, backup)
  const points = await pointsOf(runtime, what)
  if (points === null) {
    const { fleets } = runtime.deps.settings()
    if (at !== undefined || fleets?.has(what)) throw noSource(what, fleets)
    return named(runtime, what)
  }
  if (at === undefined) return points.at(-1)!
  const followed = await hasChangeSets(runtime.deps, what)
  if (at === 'latest') return followed ? changedPoint(runtime, what, { kind: 'latest' }, store) : points.at(-1)!
  const instant = instantTyped(runtime, '--at', at, 'open')
  if (followed) return changedPoint(runtime, what, { kind: 'time', at: instant }, store)
  const instants = await recoveryInstants(runtime, what, store, signal)
  const found = instants?.at(instant) ?? pointAt(points, instant)
  if (found) return found
  const reason = `the oldest state is that of ${points[0]!.at}`
  throw new SalvorError('TARGET_OUTSIDE_WINDOW', { source: what, target: instant, reason })
}

async function named({ deps }: Runtime, id: string): Promise<RestorePoint> {
  const backup = await deps.catalog.backup(id)
  return { at: backup.consistent_at, backup_id: backup.id }
}

/** Whether the catalog has a copy in that store of what is asked for: else the store alone is asked. */
export async function knowsPointIn({ deps }: Runtime, what: string, from: string | undefined): Promise<boolean> {
  const ofSource = await deps.catalog.backups({ source: what })
  const known = ofSource.length > 0 ? ofSource : [await deps.catalog.backup(what).catch(() => null)]
  return known.some((backup) => backup?.copies.some((copy) => copy.store === from) === true)
}
