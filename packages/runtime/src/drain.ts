import { JOB_RULES, JOBS, type JobName } from '@salvor/shared/messages/jobs'
import type { Holder } from '@salvor/shared/ports/catalog'
import type { Deps, ServiceDefinition } from '@salvor/shared/ports/service'
import { elapsedMs, type Instant } from '@salvor/shared/vocabulary/instant'
import type { Run } from '@salvor/shared/vocabulary/run'
import type { DispatchObserver } from './dispatch/context.ts'
import { createDispatch, type Dispatch } from './dispatch/dispatch.ts'
import { pause } from './lease.ts'

export interface DrainOptions {
  readonly correlation_id: string
  /** Aborted: the run at hand is stopped, and the command's own run ends as interrupted. */
  readonly signal: AbortSignal
  /** Runs due later are left to the services. Absent: a run that failed and is to be tried again is left, one that waits for its turn is waited for. */
  readonly until?: Instant
  readonly observer?: DispatchObserver
}

/** Often enough for a run that another process is finishing. */
const LOOK_EVERY_MS = 250
/** A run whose holder died is taken over after so long at the latest. */
const RECONCILE_EVERY_MS = 5000
const PAGE = 100

/**
 * Executes in this process every run and event of one correlation, in order, until none is left that is not for later.
 * Gives all runs of it as they are then. For commands where no service is alive: no Redis is needed.
 */
export async function drainHere(
  definitions: readonly ServiceDefinition[],
  deps: Deps,
  holder: Holder,
  options: DrainOptions,
): Promise<readonly Run[]> {
  const { signal } = options
  const dispatch = createDispatch({
    definitions,
    deps,
    holder,
    ...(options.observer ? { observer: options.observer } : {}),
  })
  const stop = (): void => dispatch.stop('cancelled')
  signal.addEventListener('abort', stop, { once: true })
  try {
    if (!signal.aborted) await drain(definitions, deps, dispatch, options)
  } finally {
    signal.removeEventListener('abort', stop)
  }
  return correlated(deps, options)
}

async function drain(
  definitions: readonly ServiceDefinition[],
  deps: Deps,
  dispatch: Dispatch,
  options: DrainOptions,
): Promise<void> {
  const services = new Set(definitions.map(({ name }) => name))
  const jobs = (Object.keys(JOBS) as JobName[]).filter((job) => services.has(JOB_RULES[job].service))
  let reconciled = performance.now()
  while (!options.signal.aborted) {
    if (await deliverAll(definitions, deps, dispatch, options)) continue
    const left = (await correlated(deps, options)).filter(
      ({ job, state }) => jobs.includes(job as JobName) && (state === 'queued' || state === 'running'),
    )
    const next = await nextDue(left, jobs, deps, options)
    if (next !== undefined) {
      await dispatch.executeRun(next)
      continue
    }
    const now = await deps.catalog.now()
    if (!left.some((run) => awaited(run, now, options.until))) return
    if (performance.now() - reconciled > RECONCILE_EVERY_MS) {
      reconciled = performance.now()
      await deps.catalog.reconcile(RECONCILE_EVERY_MS)
    }
    await pause(LOOK_EVERY_MS, options.signal)
  }
}

/** True when anything was delivered. A delivery that failed comes again later, here or in a service. */
async function deliverAll(
  definitions: readonly ServiceDefinition[],
  deps: Deps,
  dispatch: Dispatch,
  options: DrainOptions,
): Promise<boolean> {
  let delivered = false
  for (const { name } of definitions) {
    const ids = await deps.catalog.undelivered(name, { correlation_id: options.correlation_id, limit: PAGE })
    for (const id of ids) delivered = (await dispatch.handleEvent(id, name)) === 'done' || delivered
  }
  return delivered
}

/** The oldest run that is due, of whatever pool: the command was told to do it here. */
async function nextDue(
  left: readonly Run[],
  jobs: readonly JobName[],
  deps: Deps,
  options: DrainOptions,
): Promise<string | undefined> {
  const pools = [...new Set(left.map(({ pool }) => pool))]
  const [next] = await deps.catalog.dueRuns({ jobs, pools, correlation_id: options.correlation_id, limit: 1 })
  return next
}

function awaited({ state, not_before, failures }: Run, now: Instant, until: Instant | undefined): boolean {
  if (state === 'running') return true
  if (until !== undefined) return elapsedMs(not_before, until) >= 0
  return failures === 0 || elapsedMs(not_before, now) >= 0
}

function correlated(deps: Deps, { correlation_id }: DrainOptions): Promise<readonly Run[]> {
  return deps.catalog.runs({ correlation_id, limit: 1000 })
}
