import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import { JOB_RULES, JOBS, type JobName, type JobRun } from '@salvor/shared/messages/jobs'
import type { RunEnd } from '@salvor/shared/ports/catalog'
import type { Commit, Deps, JobHandler } from '@salvor/shared/ports/service'
import { elapsedMs, shifted, type Instant } from '@salvor/shared/vocabulary/instant'
import type { Run, RunProgress } from '@salvor/shared/vocabulary/run'
import { decideRetry } from '../retry.ts'
import type { DispatchContext, RunStatus } from './context.ts'

/** What is written when an attempt is over: the end of the run and what the handler leaves, in one transaction. */
export interface Ending {
  readonly status: RunStatus
  readonly end: RunEnd
  readonly commit?: Commit | undefined
}

/** A run whose job, parameters and handler fit together. */
export interface ReadyRun {
  readonly run: JobRun<JobName>
  readonly handler: JobHandler<JobName>
  readonly deps: Deps
}

/** Another process may have the configuration that the run was planned with; after this long nobody has. */
const DIFFERS_FOR_MS = 15 * 60_000
const DIFFERS_WAIT_MS = 15_000

/** Pairs a claimed run with its handler, or says how it ends without one. */
export function makeReady(run: Run, context: DispatchContext, now: Instant): ReadyRun | Ending {
  const job = run.job as JobName
  const rule = JOB_RULES[job] as (typeof JOB_RULES)[JobName] | undefined
  const handler = rule && context.services.get(rule.service)?.jobs[job]
  if (!rule || !handler) {
    return park(
      run,
      new SalvorError('MESSAGE_INVALID', { what: `run ${run.id}`, reason: `no handler for ${run.job}` }),
      now,
    )
  }
  const params = JOBS[job].safeParse(run.params)
  if (!params.success) {
    const reason = params.error.issues.map((issue) => `${issue.path.join('.')} ${issue.code}`).join(', ')
    return park(run, new SalvorError('MESSAGE_INVALID', { what: `run ${run.id}`, reason }), now)
  }
  const deps = context.depsOf(rule.service)
  const ready = {
    run: { ...run, job, params: params.data } as JobRun<JobName>,
    handler: handler as JobHandler<JobName>,
    deps,
  }
  if (run.failures >= rule.max_failures) return usedUp(ready, now)
  return configDiffers(run, deps) ? declined(ready, now) : ready
}

/** Executes the handler. An error becomes an ending too; an abort is judged by the caller. */
export async function attempt(
  ready: ReadyRun,
  context: DispatchContext,
  signal: AbortSignal,
  progress: (progress: RunProgress) => void,
): Promise<Ending> {
  signal.throwIfAborted()
  const { commit, again, result } = await ready.handler.handle(ready.run, ready.deps, signal, progress)
  if (again === undefined) return { status: 'succeeded', end: { kind: 'succeeded', result }, commit }
  return { status: 'again', end: { kind: 'again', not_before: again, result }, commit }
}

/** What a failed attempt leads to. */
export function failure(ready: ReadyRun, thrown: unknown, context: DispatchContext, now: Instant): Ending {
  const { run, handler, deps } = ready
  const error = asSalvorError(thrown)
  const verdict = decideRetry(error, run.failures, JOB_RULES[run.job], context.random)
  if (verdict.kind === 'again')
    return { status: 'again', end: { kind: 'again', not_before: shifted(now, verdict.wait_ms) } }
  const failed = error.toFailure()
  const final = verdict.kind === 'failed' || verdict.dead
  const commit = handler.failed?.(run, failed, final, deps)
  if (verdict.kind === 'failed') return { status: 'failed', end: { kind: 'failed', error: failed }, commit }
  const end = { kind: 'retry', error: failed, not_before: shifted(now, verdict.wait_ms), dead: verdict.dead } as const
  return { status: verdict.dead ? 'dead' : 'retry', end, commit }
}

/** Nothing went wrong: another process goes on at once. */
export function interrupted(now: Instant): Ending {
  return { status: 'interrupted', end: { kind: 'again', not_before: now } }
}

/** A person ended the command that asked for this run. */
export function cancelled(): Ending {
  return { status: 'interrupted', end: { kind: 'failed', error: new SalvorError('INTERRUPTED').toFailure() } }
}

/** Dead at once: kept for a person, or for a version that understands it. */
function park(run: Run, error: SalvorError, now: Instant): Ending {
  return { status: 'dead', end: { kind: 'retry', error: error.toFailure(), not_before: now, dead: true } }
}

/** Its last attempt ended with its process: nobody has said so yet. */
function usedUp({ run, handler, deps }: ReadyRun, now: Instant): Ending {
  const error = run.error ?? new SalvorError('TASK_DIED', { task: run.job, how: 'an unknown cause' }).toFailure()
  return {
    status: 'dead',
    end: { kind: 'retry', error, not_before: now, dead: true },
    commit: handler.failed?.(run, error, true, deps),
  }
}

function configDiffers(run: Run, deps: Deps): boolean {
  if (run.config_hash === null || run.source === null) return false
  return deps.settings().sources.get(run.source)?.config_hash !== run.config_hash
}

/** Left for a process with the right configuration; failed when none turned up. The result remembers since when. */
function declined({ run, handler, deps }: ReadyRun, now: Instant): Ending {
  const since = (run.result as { differs_since?: Instant } | null)?.differs_since ?? now
  if (elapsedMs(since, now) <= DIFFERS_FOR_MS) {
    const not_before = shifted(now, DIFFERS_WAIT_MS)
    return { status: 'again', end: { kind: 'again', not_before, result: { differs_since: since } } }
  }
  const error = new SalvorError('CONFIG_DIFFERS', { source: run.source ?? '' }).toFailure()
  return { status: 'failed', end: { kind: 'failed', error }, commit: handler.failed?.(run, error, true, deps) }
}
