import { JOB_RULES, type JobName } from '@salvor/shared/messages/jobs'
import type { ServiceDefinition } from '@salvor/shared/ports/service'
import { SERVICES } from '@salvor/shared/vocabulary/service'
import type { Dispatch } from './dispatch/dispatch.ts'
import type { Runtime } from './open-runtime.ts'
import { inboxKind } from './poller.ts'
import type { ProcessOptions } from './process-options.ts'
import { inboxQueue, jobQueue } from './queue/names.ts'
import type { Consumer } from './queue/workers.ts'
import { Slots } from './slots.ts'

/** Deliveries side by side in one service: they decide, and do no heavy work. */
const INBOX_CONCURRENCY = 4

export function slotsOfProcess(): Slots {
  return new Slots((kind) => (kind in JOB_RULES ? JOB_RULES[kind as JobName].concurrency : INBOX_CONCURRENCY))
}

export type WorkQueue = { readonly queue: string; readonly service: ServiceDefinition['name'] } & (
  | { readonly job: JobName }
  | { readonly job: null }
)

/** Every queue that this process works on. */
export function queuesOf({ definitions, jobs }: ProcessOptions, pools: readonly string[]): WorkQueue[] {
  return definitions.flatMap((definition): WorkQueue[] => [
    { queue: inboxQueue(definition.name), service: definition.name, job: null },
    ...jobsOf(definition, jobs).flatMap((job) =>
      (JOB_RULES[job].pooled ? [null, ...pools] : [null]).map((pool) => ({
        queue: jobQueue(job, pool),
        service: definition.name,
        job,
      })),
    ),
  ])
}

/** The jobs of a service that are taken here. */
export function jobsOf({ jobs }: ServiceDefinition, chosen: readonly JobName[] | undefined): JobName[] {
  return (Object.keys(jobs) as JobName[]).filter((job) => chosen?.includes(job) ?? true)
}

/** Takes messages of one queue, within what this process does side by side. */
export function consumerOf({ queue, service, job }: WorkQueue, dispatch: Dispatch, slots: Slots): Consumer {
  const concurrency = job === null ? INBOX_CONCURRENCY : JOB_RULES[job].concurrency
  const take: Consumer['take'] = async (message) => {
    const kind = job ?? inboxKind(service)
    const how = await slots.run(kind, async () => {
      if ('run_id' in message) return job === null ? 'skipped' : dispatch.executeRun(message.run_id)
      return job === null ? dispatch.handleEvent(message.event_id, service) : 'skipped'
    })
    return how === 'skipped' && dispatch.stopped ? 'refused' : 'taken'
  }
  return { queue, concurrency, take }
}

/** Pools that somebody may serve: of the sources and of this worker. */
export function poolsOf(runtime: Runtime): readonly string[] {
  const { pools, settings } = runtime.config()
  return [...pools, ...[...settings.sources.values()].flatMap(({ pool }) => (pool === null ? [] : [pool]))]
}

/** Queues of every service, for the view over all of them. */
export function allQueues(pools: readonly string[]): string[] {
  const jobs = (Object.keys(JOB_RULES) as JobName[]).flatMap((job) =>
    (JOB_RULES[job].pooled ? [null, ...new Set(pools)] : [null]).map((pool) => jobQueue(job, pool)),
  )
  return [...SERVICES.map(inboxQueue), ...jobs]
}
