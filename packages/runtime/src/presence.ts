import { holdLease, type HeldLease } from './lease.ts'
import type { Runtime } from './open-runtime.ts'
import type { ProcessOptions } from './process-options.ts'

/** A command leaves its runs to services that are alive: `service:<name>:…`; one for some jobs only says which. */
export async function announcePresence(
  runtime: Runtime,
  { definitions, jobs, timing }: ProcessOptions,
): Promise<HeldLease[]> {
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
