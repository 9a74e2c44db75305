import { fleetOf } from '@salvor/policy/fleets'
import { backupOf } from '@salvor/policy/retention'
import { tickAt, type Tick } from '@salvor/policy/schedule'
import type { CatalogTransaction, ScheduleRow } from '@salvor/shared/ports/catalog'
import type { Deps, JobHandler } from '@salvor/shared/ports/service'
import { shifted, type Instant } from '@salvor/shared/vocabulary/instant'

/** Ticks looked at in one transaction; the rest follow at once. */
const BATCH = 200
/** A schedule that was added meanwhile is seen after this long at the latest. */
const LONGEST_WAIT_MS = 5000
const NEVER: Instant = '9999-12-31T00:00:00.000000Z'

/** Turns due schedules into take-backup runs, each tick once, and asks to be run again when the next one is due. */
export const planTick: JobHandler<'plan-tick'> = {
  async handle(_run, deps) {
    const due = await deps.catalog.dueSchedules(BATCH)
    const now = await deps.catalog.now()
    const ticks = due.map((schedule) => ({
      schedule,
      tick: tickAt(schedule.cron, schedule.timezone, schedule.due_at, now),
    }))
    const next =
      due.length === BATCH ? now : await nextLook(deps, now, new Map(ticks.map((t) => [t.schedule.id, t.tick])))
    return {
      again: next,
      // A result says that this turn went well: failures of earlier ones are forgotten.
      result: { fired: ticks.length },
      commit: async (tx) => {
        for (const { schedule, tick } of ticks) await fire(tx, deps, schedule, tick)
      },
    }
  },
}

async function fire(tx: CatalogTransaction, deps: Deps, schedule: ScheduleRow, tick: Tick): Promise<void> {
  const moved = await tx.advanceSchedule(schedule.id, schedule.due_at, tick.next ?? NEVER)
  const { sources, fleets } = deps.settings()
  const source = sources.get(schedule.source)
  // A file that cannot be seen now is due all the same: its run fails, and that is told.
  if (!moved || (!source && fleetOf(schedule.source, fleets) === null)) return
  const { kind } = schedule
  const facts = { source: schedule.source, kind, missed: tick.missed }
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

/** The earliest tick that is still to come, or the longest wait. */
async function nextLook(deps: Deps, now: Instant, fired: ReadonlyMap<string, Tick>): Promise<Instant> {
  const dues = (await deps.catalog.schedules()).map((s) => fired.get(s.id)?.next ?? s.due_at)
  return [...dues, shifted(now, LONGEST_WAIT_MS)].reduce((a, b) => (a < b ? a : b))
}
