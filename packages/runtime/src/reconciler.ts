import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { Catalog, Holder } from '@salvor/shared/ports/catalog'
import type { Log } from '@salvor/shared/ports/log'
import { SERVICES } from '@salvor/shared/vocabulary/service'
import { holdLease, pause, type HeldLease } from './lease.ts'
import type { OutboxRelay } from './outbox-relay.ts'
import type { Transport } from './queue/transport.ts'

export interface ReconcilerOptions {
  readonly catalog: Catalog
  readonly holder: Holder
  readonly log: Log
  readonly relay: OutboxRelay
  readonly transport: Transport | null
  /** Runs and events came back that this process may have to fetch itself. */
  readonly wakePoller: () => void
  /** How often what should be is compared with what is. */
  readonly everyMs?: number
  /** How often rows that nobody relays are looked for: of commands, and of services that died. */
  readonly sweepMs?: number
  /** What was sent so long ago and not taken is sent again. */
  readonly staleMs?: number
  readonly leaseMs?: number
  /** Events that were handled and runs that ended are kept this long. */
  readonly keptMs?: number
}

/** More than a queue takes in between two looks; the rest follows with the next. */
const PAGE = 500
/** A month: long enough to look back at what happened, short enough for a catalog that does not grow without end. */
export const KEPT_MS = 30 * 24 * 3600_000

/**
 * Puts right what crashes, flushes and lost messages left behind. Whoever holds the lease does it for everybody, and only
 * ever asks again for what is safe to be asked twice.
 */
export function reconciler(options: ReconcilerOptions): { stop(): Promise<void> } {
  const stopped = new AbortController()
  const running = loop(options, stopped.signal)
  return {
    async stop() {
      stopped.abort()
      await running
    },
  }
}

async function loop(options: ReconcilerOptions, stopped: AbortSignal): Promise<void> {
  const { everyMs = 30_000, sweepMs = 2000, log } = options
  let lease: HeldLease | null = null
  let next = performance.now()
  do {
    try {
      if (lease?.lost.aborted) lease = null
      lease ??= await holdLease('reconciler', leaseOptions(options))
      if (lease === null) continue
      options.relay.sweep()
      if (performance.now() < next) continue
      next = performance.now() + everyMs
      await reconcileOnce(options)
      await prune(options, stopped)
    } catch (error) {
      log.warn({ error: asSalvorError(error) }, 'not reconciled; tried again')
    }
  } while (await pause(sweepMs, stopped))
  await lease?.[Symbol.asyncDispose]()
}

/** In small transactions with room for others between them: a backlog of years holds nobody up. */
async function prune({ catalog, log, keptMs = KEPT_MS }: ReconcilerOptions, stopped: AbortSignal): Promise<void> {
  const gone = { events: 0, runs: 0 }
  for (let more = true; more; more = more && (await pause(20, stopped))) {
    const { events, runs } = await catalog.prune(keptMs, PAGE)
    gone.events += events
    gone.runs += runs
    more = events === PAGE || runs === PAGE
  }
  if (gone.events + gone.runs > 0) log.info({ ...gone }, 'old events and runs were removed from the catalog')
}

function leaseOptions({ catalog, holder, log, leaseMs }: ReconcilerOptions) {
  return { catalog, holder, log, ...(leaseMs === undefined ? {} : { ttlMs: leaseMs }) }
}

/** One comparison. Safe to repeat, and to do in several processes at once. */
export async function reconcileOnce(
  options: Pick<ReconcilerOptions, 'catalog' | 'log' | 'relay' | 'transport' | 'wakePoller' | 'staleMs'>,
): Promise<void> {
  const { catalog, log, relay, transport, staleMs = 30_000 } = options
  const { requeued, resent } = await catalog.reconcile(staleMs)
  if (requeued > 0) log.warn({ requeued }, 'runs whose process disappeared are queued again')
  if (resent > 0) log.info({ resent }, 'runs that nobody took are sent again')
  if (requeued + resent > 0) relay.sweep()
  if (!transport?.usable) return options.wakePoller()
  for (const service of SERVICES) {
    const ids = await catalog.undelivered(service, { olderThanMs: staleMs, limit: PAGE })
    await transport.sendEvents(
      ids.map((event_id) => ({ event_id, service })),
      true,
    )
  }
}
