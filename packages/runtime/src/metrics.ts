import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry, type GaugeConfiguration } from 'prom-client'
import type { Catalog } from '@salvor/shared/ports/catalog'
import { catalogMetrics } from './catalog-metrics.ts'
import type { DispatchObserver } from './dispatch/context.ts'
import { watchLoopLag } from './loop-lag.ts'
import type { Transport } from './queue/transport.ts'
import { VERSION } from './version.ts'

export interface MetricsOptions {
  readonly catalog: Catalog
  readonly transport: Transport | null
  /** Queues that this process works on. */
  readonly queues: readonly string[]
}

/** What Prometheus sees of a process. Base units; labels are words of a known set, never ids or error texts. */
export interface Metrics extends Disposable {
  readonly registry: Registry
  readonly observer: DispatchObserver
  relayed(delayMs: number): void
}

const RUN_SECONDS = [0.1, 1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200]
const DELAY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300]
/** A scrape waits no longer for what a server far away says. */
const COLLECT_MS = 2000
const LONGEST_TIMER_MS = 2 ** 31 - 1

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  defaultMetrics(registry)
  const lag = watchLoopLag()
  const registers = [registry]
  const runs = new Counter({
    registers,
    name: 'salvor_runs_total',
    help: 'Attempts that ended',
    labelNames: ['job', 'status'],
  })
  const runSeconds = new Histogram({
    registers,
    name: 'salvor_run_duration_seconds',
    help: 'Length of an attempt',
    labelNames: ['job', 'status'],
    buckets: RUN_SECONDS,
  })
  const events = new Counter({
    registers,
    name: 'salvor_events_total',
    help: 'Deliveries of events',
    labelNames: ['service', 'type', 'status'],
  })
  const delivery = new Histogram({
    registers,
    name: 'salvor_delivery_delay_seconds',
    help: 'From the commit of an event to its effect in a service',
    labelNames: ['service'],
    buckets: DELAY_SECONDS,
  })
  const relay = new Histogram({
    registers,
    name: 'salvor_relay_delay_seconds',
    help: 'From the commit of an event to the queue',
    buckets: DELAY_SECONDS,
  })
  gauge({ registers, name: 'salvor_build_info', help: 'Always 1', labelNames: ['version'] }).set(
    { version: VERSION },
    1,
  )
  gauge({
    registers,
    name: 'salvor_event_loop_lag_seconds',
    help: 'How late timers of this process were since the last look',
    labelNames: ['quantile'],
    collect() {
      for (const quantile of [0.5, 0.99, 1]) this.set({ quantile: String(quantile) }, lag.quantile(quantile))
      lag.reset()
    },
  })
  outboxMetrics(registers, options)
  catalogMetrics(registers, options.catalog, soon)
  queueMetrics(registers, options)
  return {
    registry,
    observer: {
      runEnded(job, status, durationMs) {
        runs.inc({ job, status })
        runSeconds.observe({ job, status }, durationMs / 1000)
      },
      eventHandled(service, type, status, sinceCommitMs) {
        events.inc({ service, type, status })
        if (status === 'handled') delivery.observe({ service }, Math.max(0, sinceCommitMs) / 1000)
      },
    },
    relayed: (delayMs) => relay.observe(delayMs / 1000),
    [Symbol.dispose]: () => lag[Symbol.dispose](),
  }
}

/** Those of every Node process, but for the delays of the loop: they come from a monitor that wakes the process a hundred times a second. */
function defaultMetrics(register: Registry): void {
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: LONGEST_TIMER_MS })
  for (const what of ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'])
    register.removeSingleMetric(`nodejs_eventloop_lag_${what}_seconds`)
}

/** Registers it: the registry keeps it alive, and asks it at each scrape. */
function gauge<T extends string>(configuration: GaugeConfiguration<T>): Gauge<T> {
  return new Gauge(configuration)
}

function outboxMetrics(registers: Registry[], { catalog }: MetricsOptions): void {
  gauge({
    registers,
    name: 'salvor_outbox_lag_seconds',
    help: 'Age of the oldest event that is not in the queue yet',
    async collect() {
      const oldest = await soon(catalog.unsentEvents('any', 1))
      if (oldest) this.set(oldest[0] ? Math.max(0, (Date.now() - committedMs(oldest[0].id)) / 1000) : 0)
    },
  })
  gauge({
    registers,
    name: 'salvor_dead_letters',
    help: 'Runs and events that wait for a person',
    labelNames: ['kind'],
    async collect() {
      const dead = await soon(catalog.deadLetters())
      if (!dead) return
      for (const kind of ['run', 'event'] as const)
        this.set({ kind }, dead.filter((letter) => letter.kind === kind).length)
    },
  })
}

function queueMetrics(registers: Registry[], { transport, queues }: MetricsOptions): void {
  if (!transport) return
  gauge({
    registers,
    name: 'salvor_redis_usable',
    help: '1 while messages come through Redis; 0 while this process polls the catalog',
    collect() {
      this.set(transport.healthy ? 1 : 0)
    },
  })
  gauge({
    registers,
    name: 'salvor_redis_memory_ratio',
    help: 'Used share of maxmemory',
    collect() {
      if (transport.link.memoryRatio !== null) this.set(transport.link.memoryRatio)
    },
  })
  gauge({
    registers,
    name: 'salvor_queue_jobs',
    help: 'Messages in the queues that this process works on',
    labelNames: ['queue', 'state'],
    async collect() {
      if (!transport.usable) return this.reset()
      for (const queue of queues) {
        const counts = await soon(transport.queue(queue).getJobCounts('waiting', 'active', 'delayed', 'failed'))
        for (const [state, count] of Object.entries(counts ?? {})) this.set({ queue, state }, count)
      }
    },
  })
}

/** Null when there was no answer in time: the scrape goes on with what else there is. */
async function soon<T>(work: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), COLLECT_MS)))
  try {
    return await Promise.race([work.catch(() => null), late])
  } finally {
    clearTimeout(timer)
  }
}

/** A uuidv7 begins with its milliseconds. */
export function committedMs(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}
