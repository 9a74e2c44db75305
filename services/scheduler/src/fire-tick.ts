import { fleetOf } from '@salvor/policy/fleets'
import { backupOf } from '@salvor/policy/retention'
import type { Tick } from '@salvor/policy/schedule'
import type { CatalogTransaction, ScheduleRow } from '@salvor/shared/ports/catalog'
import type { Deps } from '@salvor/shared/ports/service'
import type { Instant } from '@salvor/shared/vocabulary/instant'

const NEVER: Instant = '9999-12-31T00:00:00.000000Z'

/** Moves a schedule on and makes the run that it asks for. */
export async function fireTick(tx: CatalogTransaction, deps: Deps, schedule: ScheduleRow, tick: Tick): Promise<void> {
  const moved = await tx.advanceSchedule(schedule.id, schedule.due_at, tick.next ?? NEVER)
  const { sources, fleets } = deps.settings()
  const source = sources.get(schedule.source)
  // A file that cannot be seen now is due all the same: its run fails, and that is told.
  if (!moved || (!source && fleetOf(schedule.source, fleets) === null)) return
  const { kind } = schedule
  const facts = { source: schedule.source, kind, missed: tick.missed }
  if (kind === 'recovery') {
    const params = { source: schedule.source, scheduled_for: tick.due_at }
    const unique_key = `${schedule.id}/${tick.due_at}`
    if (source) await tx.enqueue({ job: 'prove-recovery', source: schedule.source, unique_key, params })
    return
  }
  if (tick.missed > 0) deps.log.warn(facts, 'missed ticks are caught up by one run')
  await tx.enqueue({
    job: 'take-backup',
    source: schedule.source,
    pool: source?.pool ?? null,
    config_hash: source?.config_hash ?? null,
    unique_key: `${schedule.id}/${tick.due_at}`,
    params: { source: schedule.source, ...backupOf(kind), trigger: 'schedule', scheduled_for: tick.due_at },
  })
}
