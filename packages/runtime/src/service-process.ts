import { hostname } from 'node:os'
import type { FastifyInstance } from 'fastify'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobName } from '@salvor/shared/messages/jobs'
import { JOB_RULES } from '@salvor/shared/messages/jobs'
import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import { SERVICES } from '@salvor/shared/vocabulary/service'
import { choreographyProblems } from './check-choreography.ts'
import type { Redelivery } from './dispatch/context.ts'
import { createDispatch, type Dispatch } from './dispatch/dispatch.ts'
import { healthServer } from './health.ts'
import { holdLease, pause, type HeldLease } from './lease.ts'
import { createMetrics } from './metrics.ts'
import type { Runtime } from './open-runtime.ts'
import { outboxRelay, type OutboxRelay } from './outbox-relay.ts'
import { inboxKind, poller, type Poller } from './poller.ts'
import { inboxQueue, jobQueue } from './queue/names.ts'
import { openTransport, type Transport } from './queue/transport.ts'
import type { Consumer } from './queue/workers.ts'
import { reconciler } from './reconciler.ts'
import { Slots } from './slots.ts'

/** Lengths that tests shorten. Milliseconds. */
export interface Timing {
  readonly leaseMs?: number
  readonly pollMs?: number
  readonly overdueMs?: number
  readonly reconcileMs?: number
  readonly sweepMs?: number
  readonly staleMs?: number
  readonly probeEveryMs?: number
  readonly probeWithinMs?: number
  /** How long work at hand may go on after the first signal. */
  readonly drainMs?: number
}

export interface ProcessOptions {
  readonly definitions: readonly ServiceDefinition[]
  /** Absent: all jobs of the services. */
  readonly jobs?: readonly JobName[] | undefined
  readonly http_port?: number | undefined
  readonly timing?: Timing | undefined
}

export interface ServiceProcess {
  readonly http_port: number
  /** Aborts when this process can no longer prove that it lives: it is to end and be started anew. */
  readonly lost: AbortSignal
  /** Calls the start hooks once more, after a reload. */
  restartHooks(): Promise<void>
  /** Takes no new work, lets the work at hand end until the deadline or `hurry`, gives the rest back. */
  stop(hurry: AbortSignal): Promise<void>
}

/** Deliveries side by side in one service: they decide, and do no heavy work. */
const INBOX_CONCURRENCY = 4
const DRAIN_MS = 30_000
/** For handlers to end after they were told to. */
const GRACE_MS = 20_000
const never = new AbortController().signal

/** Starts services in this process: everything that brings work, and the server that tells how it goes. */
export async function startServices(runtime: Runtime, options: ProcessOptions): Promise<ServiceProcess> {
  const problems = choreographyProblems(options.definitions)
  if (problems.length > 0) throw new SalvorError('INTERNAL', { what: problems.join('; ') })
  await using opened = new AsyncDisposableStack()
  const parts = await openParts(runtime, options, opened)
  let phase: 'starting' | 'ready' | 'draining' = 'starting'
  const server = await serve(runtime, options, parts, () => phase)
  opened.defer(() => server.close())
  const restartHooks = async (): Promise<void> => {
    for (const { name, start } of options.definitions) await start?.({ ...runtime.deps, log: runtime.deps.log.child({ service: name }) })
  }
  await restartHooks()
  const presence = await announcePresence(runtime, options)
  for (const lease of presence) opened.use(lease)
  const work = takeWork(runtime, options, parts)
  phase = 'ready'
  const kept = opened.move()
  return {
    http_port: (server.server.address() as { port: number }).port,
    lost: AbortSignal.any(presence.map(({ lost }) => lost)),
    restartHooks,
    async stop(hurry) {
      phase = 'draining'
      await work.stopTaking()
      await finish(parts.dispatch, options.timing?.drainMs ?? DRAIN_MS, hurry)
      await parts.relay.stop()
      await kept.disposeAsync()
    },
  }
}

interface Parts {
  readonly transport: Transport | null
  readonly dispatch: Dispatch
  readonly relay: OutboxRelay
  readonly slots: Slots
  readonly metrics: ReturnType<typeof createMetrics>
  readonly consumers: readonly Consumer[]
  readonly wakePoller: () => void
  setPoller(poller: Poller): void
}

async function openParts(runtime: Runtime, options: ProcessOptions, opened: AsyncDisposableStack): Promise<Parts> {
  const { deps, holder } = runtime
  const { catalog, log } = deps
  const { leaseMs, probeEveryMs, probeWithinMs } = options.timing ?? {}
  const processName = `${hostname()}.${holder.pid}`
  const transport =
    runtime.redis_url === null
      ? null
      : opened.use(await openTransport({ url: runtime.redis_url, catalogId: catalog.id, processName, log, ...given({ probeEveryMs, probeWithinMs }) }))
  let own: Poller | null = null
  const wakePoller = (): void => own?.wake()
  const slots = new Slots((kind) => (kind in JOB_RULES ? JOB_RULES[kind as JobName].concurrency : INBOX_CONCURRENCY))
  const queues = queuesOf(options, runtime.config().pools)
  const metrics = opened.use(createMetrics({ catalog, transport, queues: queues.map(({ queue }) => queue) }))
  const redeliver = (again: Redelivery): void => void sendAgain(again, transport, runtime)
  const dispatch = createDispatch({ definitions: options.definitions, deps, holder, observer: metrics.observer, redeliver, ...given({ leaseMs }) })
  const relay = outboxRelay({ catalog, log, transport, pools: () => poolsOf(runtime), wakePoller, onRelayed: metrics.relayed })
  runtime.onCommit((work) => relay.committed(work))
  const consumers = queues.map((queue) => consumerOf(queue, dispatch, slots))
  return { transport, dispatch, relay, slots, metrics, consumers, wakePoller, setPoller: (made) => void (own = made) }
}

/** A failed delivery comes back in time; where that can't be arranged, the reconciler finds the row. */
async function sendAgain({ service, event_id, failures, not_before }: Redelivery, transport: Transport | null, { deps }: Runtime): Promise<void> {
  try {
    const delay_ms = Math.max(0, elapsedMs(await deps.catalog.now(), not_before))
    await transport?.sendEvents([{ service, event_id, failures, delay_ms }])
  } catch {
    // Nothing is lost: the row stays undelivered.
  }
}

type WorkQueue = { readonly queue: string; readonly service: ServiceDefinition['name'] } & ({ readonly job: JobName } | { readonly job: null })

function queuesOf({ definitions, jobs }: ProcessOptions, pools: readonly string[]): WorkQueue[] {
  return definitions.flatMap((definition): WorkQueue[] => [
    { queue: inboxQueue(definition.name), service: definition.name, job: null },
    ...jobsOf(definition, jobs).flatMap((job) =>
      (JOB_RULES[job].pooled ? [null, ...pools] : [null]).map((pool) => ({ queue: jobQueue(job, pool), service: definition.name, job })),
    ),
  ])
}

function jobsOf({ jobs }: ServiceDefinition, chosen: readonly JobName[] | undefined): JobName[] {
  return (Object.keys(jobs) as JobName[]).filter((job) => chosen?.includes(job) ?? true)
}

function consumerOf({ queue, service, job }: WorkQueue, dispatch: Dispatch, slots: Slots): Consumer {
  const concurrency = job === null ? INBOX_CONCURRENCY : JOB_RULES[job].concurrency
  const take: Consumer['take'] = async (message) => {
    if ('run_id' in message) {
      if (job !== null) await slots.run(job, () => dispatch.executeRun(message.run_id))
    } else if (job === null) await slots.run(inboxKind(service), () => dispatch.handleEvent(message.event_id, service))
  }
  return { queue, concurrency, take }
}

function poolsOf(runtime: Runtime): readonly string[] {
  const { pools, settings } = runtime.config()
  return [...pools, ...[...settings.sources.values()].flatMap(({ pool }) => (pool === null ? [] : [pool]))]
}

/** Queues of every service, for the view over all of them. */
function allQueues(pools: readonly string[]): string[] {
  const jobs = (Object.keys(JOB_RULES) as JobName[]).flatMap((job) =>
    (JOB_RULES[job].pooled ? [null, ...new Set(pools)] : [null]).map((pool) => jobQueue(job, pool)),
  )
  return [...SERVICES.map(inboxQueue), ...jobs]
}

async function serve(runtime: Runtime, options: ProcessOptions, parts: Parts, phase: () => 'starting' | 'ready' | 'draining'): Promise<FastifyInstance> {
  const { transport, metrics } = parts
  const services = options.definitions.map(({ name }) => name)
  const server = healthServer({ services, catalog: runtime.deps.catalog, transport, registry: metrics.registry, phase })
  server.decorate('salvorQueues', () => (transport?.usable ? allQueues(poolsOf(runtime)).map((queue) => transport.queue(queue)) : []))
  for (const { http } of options.definitions) {
    if (http) await server.register((scope) => http(scope, runtime.deps))
  }
  const port = options.http_port ?? runtime.config().http_port ?? 0
  await server.listen({ host: '127.0.0.1', port })
  return server
}

/** A command leaves its runs to services that are alive: `service:<name>:…`; one for some jobs only says which. */
async function announcePresence(runtime: Runtime, { definitions, jobs, timing }: ProcessOptions): Promise<HeldLease[]> {
  const { deps, holder } = runtime
  const held: HeldLease[] = []
  for (const { name } of definitions) {
    const part = jobs ? `partial:${name}:${jobs.join('+')}` : `service:${name}`
    const lease = await holdLease(`${part}:${holder.host}:${holder.pid}:${holder.start_time}`, {
      catalog: deps.catalog,
      holder: { ...holder, service: name },
      log: deps.log,
      ...(timing?.leaseMs === undefined ? {} : { ttlMs: timing.leaseMs }),
    })
    if (lease) held.push(lease)
  }
  return held
}

/** Everything that brings work begins: messages, polls, and the look at what should be there. */
function takeWork(runtime: Runtime, options: ProcessOptions, parts: Parts): { stopTaking(): Promise<void> } {
  const { transport, dispatch, slots, relay, wakePoller } = parts
  const { catalog, log } = runtime.deps
  const { pollMs, overdueMs, reconcileMs, sweepMs, staleMs, leaseMs } = options.timing ?? {}
  transport?.consume(parts.consumers)
  const own = poller({
    catalog,
    dispatch,
    slots,
    log,
    services: options.definitions.map(({ name }) => name),
    jobs: options.definitions.flatMap((definition) => jobsOf(definition, options.jobs)),
    pools: () => [null, ...runtime.config().pools],
    queueHealthy: () => transport?.healthy ?? false,
    onOverdue: () => void transport?.rebuild(),
    ...given({ everyMs: pollMs, overdueMs }),
  })
  parts.setPoller(own)
  const looking = reconciler({ catalog, holder: runtime.holder, log, relay, transport, wakePoller, ...given({ everyMs: reconcileMs, sweepMs, staleMs, leaseMs }) })
  return {
    async stopTaking() {
      await Promise.all([transport?.pause(), own.stop(), looking.stop()])
    },
  }
}

async function finish(dispatch: Dispatch, drainMs: number, hurry: AbortSignal): Promise<void> {
  await Promise.race([dispatch.idle(), pause(drainMs, hurry)])
  dispatch.stop('shutdown')
  await Promise.race([dispatch.idle(), pause(GRACE_MS, never)])
}

/** Without the keys that are undefined: an absent option keeps its default. */
function given<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}
