import { tickAt, type Tick } from '@salvor/policy/schedule'
import type { Deps, JobHandler } from '@salvor/shared/ports/service'
import { shifted, type Instant } from '@salvor/shared/vocabulary/instant'
import { fireTick } from '../fire-tick.ts'

/** Ticks looked at in one transaction; the rest follow at once. */
const BATCH = 200
/** A schedule that was added meanwhile is seen after this long at the latest. */
const LONGEST_WAIT_MS = 5000

/** Turns due schedules into runs, each tick once, and asks to be run again when the next one is due. */
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
        for (const { schedule, tick } of ticks) await fireTick(tx, deps, schedule, tick)
      },
    }
  },
}

/** The earliest tick that is still to come, or the longest wait. */
async function nextLook(deps: Deps, now: Instant, fired: ReadonlyMap<string, Tick>): Promise<Instant> {
  const dues = (await deps.catalog.schedules()).map((s) => fired.get(s.id)?.next ?? s.due_at)
  return [...dues, shifted(now, LONGEST_WAIT_MS)].reduce((a, b) => (a < b ? a : b))
}
