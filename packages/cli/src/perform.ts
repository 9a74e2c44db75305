import { backupWorker } from '@salvor/backup-worker'
import { notifier } from '@salvor/notifier'
import { replicator } from '@salvor/replicator'
import { drainHere } from '@salvor/runtime/drain'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { NewRun } from '@salvor/shared/ports/catalog'
import type { JobName } from '@salvor/shared/messages/jobs'
import { JOB_RULES } from '@salvor/shared/messages/jobs'
import type { Run } from '@salvor/shared/vocabulary/run'
import { verifier } from '@salvor/verifier'
import { gentleSettings } from './gentle-settings.ts'
import { finishLeftovers } from './leftovers.ts'
import { progressView } from './progress.ts'

/** Often enough for a progress bar, seldom enough for a catalog on another machine. */
const LOOK_EVERY_MS = 250

export interface Performance {
  readonly run: Run
  /** Runs that this one led to: copies, checks, messages. */
  readonly followers: readonly Run[]
  readonly here: boolean
}

export interface PerformOptions {
  readonly label: string
  readonly quiet: boolean
  readonly signal: AbortSignal
  /** Never leave it to a service: restores happen where the person sits. */
  readonly alwaysHere?: boolean
}

/**
 * Writes a run and sees it through: followed in the catalog where a service that does such jobs is alive, else executed in
 * this process with the same handlers, together with what it leads to (copies, checksums, messages). No Redis needed.
 */
export async function perform<J extends JobName>(
  runtime: Runtime,
  wish: NewRun<J>,
  options: PerformOptions,
): Promise<Performance> {
  const { catalog } = runtime.deps
  const live = await catalog.leases(`service:${JOB_RULES[wish.job].service}`)
  const here = options.alwaysHere === true || live.length === 0
  // A pool that no service serves keeps the run for this process.
  const pool = options.alwaysHere === true ? `command-${process.pid}` : (wish.pool ?? null)
  const run = await catalog.transaction({ service: 'cli' }, (tx) => tx.enqueue({ ...wish, pool }))
  using view = progressView(options.label, options.quiet, () => runtime.deps.clock.monotonicMs())
  const watching = new AbortController()
  const watched = watch(
    runtime,
    run.id,
    (progress) => view.show(progress),
    AbortSignal.any([watching.signal, options.signal]),
  )
  if (here) {
    const deps = { ...runtime.deps, settings: () => gentleSettings(runtime.deps.settings()) }
    const definitions = [backupWorker, verifier, replicator, notifier]
    try {
      await drainHere(definitions, deps, runtime.holder, { correlation_id: run.correlation_id, signal: options.signal })
      if (live.length === 0) await finishLeftovers(definitions, deps, runtime.holder, wish.job, options.signal)
    } finally {
      watching.abort()
    }
  }
  await watched
  if (!here) await settle(runtime, run.correlation_id, options.signal)
  if (options.signal.aborted) throw new SalvorError('INTERRUPTED')
  const all = await catalog.runs({ correlation_id: run.correlation_id, limit: 1000 })
  const own = all.find((one) => one.id === run.id)
  if (!own) throw new SalvorError('INTERNAL', { what: `run ${run.id} vanished` })
  return { run: own, followers: all.filter((one) => one.id !== run.id), here }
}

const ENDED: ReadonlySet<string> = new Set(['succeeded', 'failed', 'dead'])

/** Shows progress until the run ended or nobody wants to know any more. */
async function watch(
  runtime: Runtime,
  id: string,
  show: (progress: NonNullable<Run['progress']>) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const run = await runtime.deps.catalog.run(id)
    if (run === null || ENDED.has(run.state)) return
    // A failed attempt that services will repeat later is reported now; the run itself goes on.
    if (run.state === 'queued' && run.failures > 0) return
    if (run.progress) show(run.progress)
    await pause(LOOK_EVERY_MS, signal)
  }
}

/** How long after the run its replication may take to be planned by a service. */
const PLANNED_WITHIN_MS = 5000

/** Waits for the copies that services make of the result; proofs and messages follow in their own time. */
async function settle(runtime: Runtime, correlation_id: string, signal: AbortSignal): Promise<void> {
  const { catalog, clock } = runtime.deps
  for (const began = clock.monotonicMs(); !signal.aborted; await pause(LOOK_EVERY_MS, signal)) {
    const runs = await catalog.runs({ correlation_id, jobs: ['replicate-copy'], limit: 10 })
    if (runs.length === 0 && clock.monotonicMs() - began > PLANNED_WITHIN_MS) return
    // A failed attempt is repeated by the service later: the command says what is missing now.
    const busy = runs.some((run) => run.state === 'running' || (run.state === 'queued' && run.failures === 0))
    if (runs.length > 0 && !busy) return
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms)
    function end(): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    signal.addEventListener('abort', end)
  })
}
