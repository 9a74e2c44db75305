import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobName } from '@salvor/shared/messages/jobs'
import type { Catalog } from '@salvor/shared/ports/catalog'
import type { Log } from '@salvor/shared/ports/log'
import { shifted } from '@salvor/shared/vocabulary/instant'
import type { ServiceName } from '@salvor/shared/vocabulary/service'
import type { Dispatch } from './dispatch/dispatch.ts'
import { nudge } from './nudge.ts'
import type { Slots } from './slots.ts'

export const POLL_EVERY_MS = 5000
const PAGE = 100
/** While the queue works, only what should have come so long ago is fetched here. */
const OVERDUE_MS = 60_000

export interface PollerOptions {
  readonly catalog: Catalog
  readonly dispatch: Dispatch
  readonly slots: Slots
  readonly log: Log
  readonly services: readonly ServiceName[]
  readonly jobs: readonly JobName[]
  readonly pools: () => readonly (string | null)[]
  /** Messages come through the queue now. */
  readonly queueHealthy: () => boolean
  /** Something overdue was found though there was room for it: the queue's workers may hang. */
  readonly onOverdue: () => void
  readonly everyMs?: number
  readonly overdueMs?: number
}

/**
 * Fetches work from the catalog itself while there is no Redis, so that alerts go out, and otherwise what the queue has
 * forgotten. Whatever comes both ways is done once: claims and inbox rows see to it.
 */
export interface Poller {
  /** Look now. */
  wake(): void
  stop(): Promise<void>
}

export function poller(options: PollerOptions): Poller {
  const { log, everyMs = POLL_EVERY_MS, overdueMs = OVERDUE_MS } = options
  let overdueLookedAt = performance.now()
  const look = nudge(async () => {
    const healthy = options.queueHealthy()
    if (healthy && performance.now() - overdueLookedAt < overdueMs / 2) return
    overdueLookedAt = performance.now()
    const overdue = healthy ? overdueMs : null
    try {
      for (const service of options.services) await fetchEvents(service, overdue, options)
      for (const job of options.jobs) await fetchRuns(job, overdue, options, look)
    } catch (error) {
      log.warn({ error: asSalvorError(error) }, 'the catalog could not be polled')
    }
  })
  const timer = setInterval(look, everyMs)
  look()
  return {
    wake: () => {
      if (!options.queueHealthy()) look()
    },
    async stop() {
      clearInterval(timer)
      await look.stop()
    },
  }
}

async function fetchEvents(service: ServiceName, overdue: number | null, options: PollerOptions): Promise<void> {
  const { catalog, dispatch, slots } = options
  for (;;) {
    const ids = await catalog.undelivered(service, {
      limit: PAGE,
      ...(overdue === null ? {} : { olderThanMs: overdue }),
    })
    if (ids.length > 0 && overdue !== null && slots.free(inboxKind(service)) > 0) options.onOverdue()
    const results = await Promise.all(
      ids.map((id) => slots.run(inboxKind(service), () => dispatch.handleEvent(id, service))),
    )
    if (ids.length < PAGE || !results.includes('done')) return
  }
}

/** Starts what there is room for, without waiting for it; the end of each looks for more. */
async function fetchRuns(
  job: JobName,
  overdue: number | null,
  options: PollerOptions,
  look: () => void,
): Promise<void> {
  const { catalog, dispatch, slots } = options
  const room = slots.free(job)
  if (room <= 0) return
  const due = await catalog.dueRuns({ jobs: [job], pools: options.pools(), limit: room })
  const ids = overdue === null ? due : await overdueOf(due, overdue, catalog)
  if (ids.length > 0 && overdue !== null) options.onOverdue()
  for (const id of ids) {
    void slots
      .run(job, () => dispatch.executeRun(id))
      .then((how) => (how === 'done' && !options.queueHealthy() ? look() : undefined))
  }
}

async function overdueOf(ids: readonly string[], overdueMs: number, catalog: Catalog): Promise<readonly string[]> {
  if (ids.length === 0) return []
  const before = shifted(await catalog.now(), -overdueMs)
  const runs = await Promise.all(ids.map((id) => catalog.run(id)))
  return runs.flatMap((run) => (run?.state === 'queued' && run.not_before < before ? [run.id] : []))
}

export function inboxKind(service: ServiceName): string {
  return `inbox-${service}`
}
