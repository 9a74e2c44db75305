import { setTimeout as sleep } from 'node:timers/promises'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { EventType } from '@salvor/shared/messages/events'
import { JOBS, type JobName } from '@salvor/shared/messages/jobs'
import { SUBSCRIBERS } from '@salvor/shared/messages/subscribers'
import type { Catalog, Cause } from '@salvor/shared/ports/catalog'
import type { Log } from '@salvor/shared/ports/log'
import type { ServiceName } from '@salvor/shared/vocabulary/service'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import type { CommittedWork } from './announce-commits.ts'
import { committedMs } from './metrics.ts'
import { nudge } from './nudge.ts'
import type { Transport } from './queue/transport.ts'

const PAGE = 200
const RETRY_MS = 1000
const LAST_MS = 3000
const ALL_JOBS = Object.keys(JOBS) as JobName[]

export interface RelayOptions {
  readonly catalog: Catalog
  readonly log: Log
  /** Null: this installation has no Redis, so rows count as sent when the poller was told. */
  readonly transport: Transport | null
  /** Pools that a queue is kept for; a run of any other pool waits for the command that made it. */
  readonly pools: () => readonly string[]
  /** Of this process. */
  readonly services: readonly ServiceName[]
  /** Something is in the catalog that this process may have to fetch itself. */
  readonly wakePoller: () => void
  /** Milliseconds from commit to queue, for each event. */
  readonly onRelayed?: (delayMs: number) => void
}

/** Carries what was committed to the queues. It selects what is unsent, never a cursor: commits become visible in any order. */
export interface OutboxRelay {
  /** For each commit of this process, right after it. */
  committed(work: CommittedWork): void
  /** Everybody's rows: of services that died, and of commands. */
  sweep(): void
  /** Sends what is left, for a moment, and ends. */
  stop(): Promise<void>
}

export function outboxRelay(options: RelayOptions): OutboxRelay {
  const services = new Set<Cause['service'] | 'any'>()
  let runs = false
  let stopped = false
  let retry: NodeJS.Timeout | undefined

  const work = nudge(async () => {
    const [wanted, wantedRuns] = [[...services], runs]
    services.clear()
    runs = false
    try {
      if (wantedRuns) await relayRuns(options)
      for (const service of wanted) await relayEvents(service, options)
    } catch (thrown) {
      // The rows stay unsent. A server that is away is asked for by its return, anything else after a moment.
      const error = asSalvorError(thrown)
      if (error.code !== 'REDIS_UNREACHABLE') options.log.warn({ error }, 'not relayed; tried again')
      options.wakePoller()
      for (const service of wanted) services.add(service)
      runs ||= wantedRuns
      if (!stopped) retry ??= setTimeout(() => ((retry = undefined), work()), RETRY_MS)
    }
  })
  options.transport?.link.onChange((usable) => {
    if (!usable) return
    services.add('any')
    runs = true
    work()
  })
  return {
    committed(done) {
      // Without queues, what this process does not handle itself waits for the next sweep: others see it when they poll.
      const events = options.transport === null ? isHandledHere(done.events, options) : done.events.size > 0
      if (events) services.add(done.service)
      if (done.runs) runs = true
      if (events || done.runs) work()
    },
    sweep() {
      services.add('any')
      runs = true
      work()
    },
    async stop() {
      stopped = true
      clearTimeout(retry)
      await Promise.race([work.idle(), sleep(LAST_MS, undefined, { ref: false })])
      await work.stop()
    },
  }
}

async function relayEvents(service: Cause['service'] | 'any', options: RelayOptions): Promise<void> {
  const { catalog, transport } = options
  for (;;) {
    const rows = await catalog.unsentEvents(service, PAGE)
    if (rows.length === 0) return
    if (transport) await transport.sendEvents(rows.flatMap(messages))
    await catalog.markEventsSent(rows.map(({ id }) => id))
    for (const { id } of rows) options.onRelayed?.(Math.max(0, Date.now() - committedMs(id)))
    if (!transport?.healthy && isHandledHere(new Set(rows.map(({ type }) => type)), options)) options.wakePoller()
    if (rows.length < PAGE) return
  }
}

function isHandledHere(types: ReadonlySet<EventType>, { services }: RelayOptions): boolean {
  return [...types].some((type) => (SUBSCRIBERS[type] ?? []).some((service) => services.includes(service)))
}

function messages({ id, type }: { readonly id: string; readonly type: EventType }) {
  // A newer version may have written a type that this one has no subscribers for: the reconciler of that version sends it.
  return (SUBSCRIBERS[type] ?? []).map((service) => ({ event_id: id, service }))
}

async function relayRuns(options: RelayOptions): Promise<void> {
  const { catalog, transport } = options
  for (;;) {
    const rows = await catalog.unsentRuns(ALL_JOBS, PAGE)
    if (rows.length === 0) return
    if (transport) {
      const now = await catalog.now()
      const pools = new Set(options.pools())
      const sent = rows.filter(({ pool }) => pool === null || pools.has(pool))
      await transport.sendRuns(
        sent.map(({ not_before, ...row }) => ({ ...row, delay_ms: Math.max(0, elapsedMs(now, not_before)) })),
      )
    }
    await catalog.markRunsSent(rows)
    if (!transport?.healthy) options.wakePoller()
    if (rows.length < PAGE) return
  }
}
