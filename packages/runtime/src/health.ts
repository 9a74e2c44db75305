import { fastify, type FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import type { Catalog } from '@salvor/shared/ports/catalog'
import { systemClock } from './clock.ts'
import type { Transport } from './queue/transport.ts'

export interface HealthOptions {
  readonly services: readonly string[]
  readonly catalog: Catalog
  readonly transport: Transport | null
  readonly registry: Registry
  /** starting and draining processes get no new work from a load balancer. */
  readonly phase: () => 'starting' | 'ready' | 'draining'
}

/** A check that did not answer in time has failed. */
const ANSWER_MS = 3000

interface Check {
  readonly name: 'catalog' | 'queue' | 'redis_policy'
  readonly ok: boolean
  readonly detail: string
}

/**
 * /healthz: is this process worth keeping? /readyz: does it do its work now? /metrics for Prometheus. A Redis that is away
 * makes neither false: the process polls meanwhile. A Redis that evicts keys does.
 */
export function healthServer(options: HealthOptions): FastifyInstance {
  const server = fastify({ logger: false, bodyLimit: 65_536, forceCloseConnections: true })
  server.get('/healthz', async (_request, reply) => {
    const checks = queueChecks(options)
    return reply.code(checks.every(({ ok }) => ok) ? 200 : 503).send(answer(options, checks))
  })
  server.get('/readyz', async (_request, reply) => {
    const checks = [await catalogCheck(options.catalog), ...queueChecks(options)]
    const ready = options.phase() === 'ready' && checks.every(({ ok }) => ok)
    return reply.code(ready ? 200 : 503).send(answer(options, checks))
  })
  server.get('/metrics', async (_request, reply) =>
    reply.type(options.registry.contentType).send(await options.registry.metrics()),
  )
  return server
}

function answer({ services, phase }: HealthOptions, checks: readonly Check[]) {
  return { services, phase: phase(), time: systemClock.now(), checks }
}

async function catalogCheck(catalog: Catalog): Promise<Check> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => (timer = setTimeout(() => resolve('no answer'), ANSWER_MS)))
  const problem = await Promise.race([
    catalog.now().then(
      () => null,
      () => 'unreachable',
    ),
    late,
  ])
  clearTimeout(timer)
  return { name: 'catalog', ok: problem === null, detail: problem ?? 'answers' }
}

function queueChecks({ transport }: HealthOptions): Check[] {
  if (!transport) return [{ name: 'queue', ok: true, detail: 'no Redis configured: polling the catalog' }]
  const code = transport.link.problem?.code
  const policy: Check = {
    name: 'redis_policy',
    ok: code !== 'REDIS_POLICY',
    detail: code === 'REDIS_POLICY' ? transport.link.problem!.message : 'noeviction',
  }
  if (!transport.usable) return [{ name: 'queue', ok: true, detail: 'Redis is away: polling the catalog' }, policy]
  return [
    {
      name: 'queue',
      ok: transport.healthy,
      detail: transport.healthy ? 'messages come through' : 'no message comes through',
    },
    policy,
  ]
}
