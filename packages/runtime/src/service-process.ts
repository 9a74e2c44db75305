import { hostname } from 'node:os'
import type { FastifyInstance } from 'fastify'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import { choreographyProblems } from './check-choreography.ts'
import { keepDoing } from './keep-doing.ts'
import type { Redelivery } from './dispatch/context.ts'
import { createDispatch, type Dispatch } from './dispatch/dispatch.ts'
import { healthServer } from './health.ts'
import { pause } from './lease.ts'
import { createMetrics } from './metrics.ts'
import type { Runtime } from './open-runtime.ts'
import { outboxRelay, type OutboxRelay } from './outbox-relay.ts'
import { poller, type Poller } from './poller.ts'
import { announcePresence } from './presence.ts'
import type { ProcessOptions } from './process-options.ts'
import { openTransport, type Transport } from './queue/transport.ts'
import type { Consumer } from './queue/workers.ts'
import { reconciler } from './reconciler.ts'
import type { Slots } from './slots.ts'
import { allQueues, consumerOf, jobsOf, poolsOf, queuesOf, slotsOfProcess } from './work-queues.ts'

export interface ServiceProcess {
  readonly http_port: number
  /** Aborts when this process can no longer prove that it lives: it is to end and be started anew. */
  readonly lost: AbortSignal
  /** Calls the start hooks once more, after a reload. */
  restartHooks(): Promise<void>
  /** Takes no new work, lets the work at hand end until the deadline or `hurry`, gives the rest back. */
  stop(hurry: AbortSignal): Promise<void>
}

const DRAIN_MS = 30_000
/** For handlers to end after they were told to. */
const GRACE_MS = 20_000
const never = new AbortController().signal

/** Starts services in this process: everything that brings work, and the server that tells how it goes. */
export async function startServices(runtime: Runtime, options: ProcessOptions): Promise<ServiceProcess> {
  const { deps } = runtime
  const problems = choreographyProblems(options.definitions)
  if (problems.length > 0) throw new SalvorError('INTERNAL', { what: problems.join('; ') })
  await using opened = new AsyncDisposableStack()
  const parts = await openParts(runtime, options, opened)
  let phase: 'starting' | 'ready' | 'draining' = 'starting'
  const server = await serve(runtime, options, parts, () => phase)
  opened.defer(() => server.close())
  const restartHooks = async (): Promise<void> => {
    for (const definition of options.definitions) {
      await definition.start?.({ ...deps, log: deps.log.child({ service: definition.name }) })
    }
  }
  await restartHooks()
  const presence = await announcePresence(runtime, options)
  for (const lease of presence) opened.use(lease)
  const work = takeWork(runtime, options, parts)
  const duties = startDuties(runtime, options)
  phase = 'ready'
  const kept = opened.move()
  return {
    http_port: (server.server.address() as { port: number }).port,
    lost: AbortSignal.any(presence.map(({ lost }) => lost)),
    restartHooks,
    async stop(hurry) {
      phase = 'draining'
      await Promise.all([work.stopTaking(), duties.stop()])
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
      : opened.use(
          await openTransport({
            url: runtime.redis_url,
            catalogId: catalog.id,
            processName,
            log,
            ...given({ probeEveryMs, probeWithinMs }),
          }),
        )
  let own: Poller | null = null
  const wakePoller = (): void => own?.wake()
  const slots = slotsOfProcess()
  const queues = queuesOf(options, runtime.config().pools)
  const metrics = opened.use(createMetrics({ catalog, transport, queues: queues.map(({ queue }) => queue) }))
  const redeliver = (again: Redelivery): void => void sendAgain(again, transport, runtime)
  const dispatch = createDispatch({
    definitions: options.definitions,
    deps,
    holder,
    observer: metrics.observer,
    redeliver,
    ...given({ leaseMs }),
  })
  const relay = outboxRelay({
    catalog,
    log,
    transport,
    pools: () => poolsOf(runtime),
    services: options.definitions.map(({ name }) => name),
    wakePoller,
    onRelayed: (delayMs) => metrics.relayed(delayMs),
  })
  runtime.onCommit((work) => relay.committed(work))
  const consumers = queues.map((queue) => consumerOf(queue, dispatch, slots))
  return { transport, dispatch, relay, slots, metrics, consumers, wakePoller, setPoller: (made) => void (own = made) }
}

/** A failed delivery comes back in time; where that can't be arranged, the reconciler finds the row. */
async function sendAgain(
  { service, event_id, failures, not_before }: Redelivery,
  transport: Transport | null,
  { deps }: Runtime,
): Promise<void> {
  try {
    const delay_ms = Math.max(0, elapsedMs(await deps.catalog.now(), not_before))
    await transport?.sendEvents([{ service, event_id, failures, delay_ms }])
  } catch {
    // Nothing is lost: the row stays undelivered.
  }
}

async function serve(
  runtime: Runtime,
  options: ProcessOptions,
  parts: Parts,
  phase: () => 'starting' | 'ready' | 'draining',
): Promise<FastifyInstance> {
  const { transport, metrics } = parts
  const services = options.definitions.map(({ name }) => name)
  const server = healthServer({ services, catalog: runtime.deps.catalog, transport, registry: metrics.registry, phase })
  server.decorate('salvorQueues', () =>
    transport?.usable ? allQueues(poolsOf(runtime)).map((queue) => transport.queue(queue)) : [],
  )
  for (const { http } of options.definitions) {
    if (http) await server.register((scope) => http(scope, runtime.deps))
  }
  const port = options.http_port ?? runtime.config().http_port ?? 0
  await server.listen({ host: '127.0.0.1', port })
  return server
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
  const looking = reconciler({
    catalog,
    holder: runtime.holder,
    log,
    relay,
    transport,
    wakePoller,
    ...given({ everyMs: reconcileMs, sweepMs, staleMs, leaseMs }),
  })
  return {
    async stopTaking() {
      await Promise.all([transport?.pause(), own.stop(), looking.stop()])
    },
  }
}

/** Duties end at once: each of them can be cut anywhere, and whoever comes next goes on. */
function startDuties(runtime: Runtime, { definitions, jobs }: ProcessOptions): { stop(): Promise<void> } {
  const { deps } = runtime
  const abort = new AbortController()
  const running = definitions.map(async (definition) => {
    const { name, duty } = definition
    if (!duty || jobs?.includes(duty.beside) === false) return
    const log = deps.log.child({ service: name })
    // `deps` as it is at each look: a reload replaces what is behind it.
    const own: Deps = Object.create(deps, { log: { value: log } }) as Deps
    await keepDoing(log, abort.signal, () => duty.run(own, abort.signal))
  })
  return {
    async stop() {
      abort.abort(new SalvorError('INTERRUPTED'))
      await Promise.all(running)
    },
  }
}

async function finish(dispatch: Dispatch, drainMs: number, hurry: AbortSignal): Promise<void> {
  await idleWithin(dispatch, drainMs, hurry)
  dispatch.stop('shutdown')
  await idleWithin(dispatch, GRACE_MS, never)
}

async function idleWithin(dispatch: Dispatch, ms: number, hurry: AbortSignal): Promise<void> {
  const idle = new AbortController()
  const waited = pause(ms, AbortSignal.any([hurry, idle.signal]))
  await Promise.race([dispatch.idle().then(() => idle.abort()), waited])
}

/** Without the keys that are undefined: an absent option keeps its default. */
function given<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}
