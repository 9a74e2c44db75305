import { planRecovery, type RecoveryPlan } from '@salvor/policy/recovery-plan'
import { hasChangeSets } from '@salvor/runtime/change-facts'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { gatherRecoveryFacts } from '@salvor/runtime/recovery-facts'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { shownTarget } from '@salvor/shared/vocabulary/recovery'
import { plannedChanges } from './change-instants.ts'
import { storeIn } from './from-store.ts'
import { bytes } from './output.ts'
import type { RecoveryWanted } from './recovery-options.ts'

/** How a restore to a point in time begins, and what it does beyond the backup. */
export interface PlannedRestore {
  readonly backup_id: string
  /** A line of `--plan`. */
  readonly step: string
  /** What `--plan --json` says of it. */
  readonly document: Readonly<Record<string, unknown>>
}

/** Refuses a target that cannot be had before anything is read or written. */
export async function plannedRestore(
  runtime: Runtime,
  what: string,
  options: { readonly backup?: string; readonly from?: string },
  { target, timeline, pause }: RecoveryWanted,
  signal: AbortSignal,
): Promise<PlannedRestore> {
  const { deps } = runtime
  const isSource =
    deps.settings().sources.has(what) || (await deps.catalog.backups({ source: what, limit: 1 })).length > 0
  const named = options.backup ?? (isSource ? undefined : what)
  const backup = named === undefined ? null : await deps.catalog.backup(named)
  const source = backup?.source ?? what
  const backup_id = backup?.id ?? null
  const from = storeIn(runtime, options.from) ?? null
  if (await hasChangeSets(deps, source)) {
    if (pause || timeline !== null) throw new SalvorError('USAGE', NO_SERVER)
    const plan = await plannedChanges(runtime, { source, target, backup_id }, from)
    const change_bytes = plan.sets.reduce((sum, set) => sum + set.size_bytes, 0)
    const { recovers_to } = plan
    const step = `lay ${plan.sets.length} change sets, ${bytes(change_bytes)}, over it: the state of ${recovers_to}`
    const document = { target, recovers_to, change_sets: plan.sets.length, change_bytes }
    return { backup_id: plan.backup_id, step, document }
  }
  const facts = await gatherRecoveryFacts(deps, source, from, signal)
  const plan = planRecovery(facts, { source, target, timeline, backup_id })
  if (pause && plan.target.kind === 'latest') throw new SalvorError('USAGE', NOT_PAUSED)
  const wal_bytes = plan.pieces.reduce((sum, piece) => sum + piece.size_bytes, 0)
  const wal_room_bytes = roomOf(plan)
  const replayed = `${plan.pieces.length} pieces of WAL, ${bytes(wal_bytes)}, which take ${bytes(wal_room_bytes)} there`
  const { recovers_to } = plan
  const to = plan.target.kind === 'time' ? '' : `${shownTarget(plan.target)}, the state of `
  const { timezone } = deps.settings()
  const step = `fetch ${replayed}, for the server to replay to ${to}${recovers_to}${localTime(recovers_to, timezone)}`
  const document = { target: plan.target, timeline: plan.timeline, recovers_to, wal_bytes, wal_room_bytes }
  return { backup_id: plan.backup_id, step, document }
}

/** Segments are whole files, however many pieces they come in. */
function roomOf({ pieces }: RecoveryPlan): number {
  const sizes = new Map(pieces.map(({ name, segment_size }) => [name.slice(0, SEGMENT_NAME), segment_size ?? 0]))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

const SEGMENT_NAME = 24

/** What a time without an offset was taken for. */
function localTime(at: Instant, timezone: string): string {
  if (timezone === 'UTC') return ''
  const form = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short', timeStyle: 'medium' })
  return ` (${form.format(new Date(at))} in ${timezone})`
}

const NOT_PAUSED = {
  reason: 'nothing was committed behind that target, so the server has nothing to pause at; leave out --pause',
  command: 'restore',
}

const NO_SERVER = { reason: '--pause and --timeline are for PostgreSQL', command: 'restore' }
