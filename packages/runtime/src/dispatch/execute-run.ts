import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import { JOB_RULES, type JobName } from '@salvor/shared/messages/jobs'
import type { Log } from '@salvor/shared/ports/log'
import type { Deps } from '@salvor/shared/ports/service'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { Run } from '@salvor/shared/vocabulary/run'
import { attempt, cancelled, failure, interrupted, makeReady, type Ending, type ReadyRun } from './attempt.ts'
import { claimRun } from './claim-run.ts'
import { commitEnding } from './commit-ending.ts'
import type { DispatchContext } from './context.ts'
import { keepRun } from './keep-run.ts'

/** Why a run that is under way is to stop. */
export type StopReason =
  /** This process ends: the run goes back to the queue at once. */
  | 'shutdown'
  /** The command that asked for it was ended by a person: its own run ends, what followed from it goes on elsewhere. */
  | 'cancelled'

/**
 * Claims a run and sees one attempt through: `done` when its end is in the catalog, `skipped` when it is not there to be
 * claimed, or was lost to another holder on the way. `stop` aborts with a StopReason. Never rejects.
 */
export async function executeRun(
  runId: string,
  context: DispatchContext,
  deps: Deps,
  stop: AbortSignal,
): Promise<'done' | 'skipped'> {
  const began = performance.now()
  const log = deps.log.child({ run_id: runId })
  const run = stop.aborted
    ? null
    : await claimRun(runId, context, deps, stop).catch((thrown: unknown) => {
        log.error({ error: asSalvorError(thrown) }, 'run not claimed')
        return null
      })
  if (run === null) return 'skipped'
  const job = run.job as JobName
  const written = await seeThrough(run, context, deps, stop, log.child({ job, attempt: run.attempt })).catch(
    (thrown: unknown) => {
      log.error(
        { error: asSalvorError(thrown) },
        'end of the attempt not recorded; the run is taken up again when its lease ends',
      )
      return null
    },
  )
  if (job in JOB_RULES) context.observer.runEnded?.(job, written?.status ?? 'lost', performance.now() - began)
  return written === null ? 'skipped' : 'done'
}

/** Gives what was written; null when the attempt was replaced by a newer one. */
async function seeThrough(
  run: Run,
  context: DispatchContext,
  deps: Deps,
  stop: AbortSignal,
  log: Log,
): Promise<Ending | null> {
  const ready = makeReady(run, context, await deps.catalog.now())
  if ('end' in ready) return record(run, ready, null, context, deps, log)
  await using kept = keepRun(ready.run, context, deps, stop)
  const ending = await attempt(ready, context, kept.signal, kept.report).catch(async (thrown: unknown) => {
    if (kept.lost) return null
    if (stop.aborted) return stopped(ready, stop, await nowOr(deps))
    return failed(ready, thrown, context, await nowOr(deps), log)
  })
  if (ending === null) {
    log.warn({}, 'lost to a newer attempt: nothing was committed')
    return null
  }
  return record(run, ending, ready, context, deps, log)
}

/** Writes the end. What a handler leaves may be refused by the catalog: then the attempt failed. */
async function record(
  run: Run,
  ending: Ending,
  ready: ReadyRun | null,
  context: DispatchContext,
  deps: Deps,
  log: Log,
): Promise<Ending | null> {
  try {
    await commitEnding(run, ending, context, deps)
    if (ending.status !== 'again') log.info({ status: ending.status }, 'run ended')
    return ending
  } catch (thrown) {
    const error = asSalvorError(thrown)
    if (error.code === 'LEASE_LOST') {
      log.warn({ status: ending.status }, 'lost to a newer attempt: nothing was committed')
      return null
    }
    if (ready === null || (ending.status !== 'succeeded' && ending.status !== 'again')) throw error
    return record(run, failed(ready, error, context, await nowOr(deps), log), null, context, deps, log)
  }
}

function failed(ready: ReadyRun, thrown: unknown, context: DispatchContext, now: Instant, log: Log): Ending {
  const ending = failure(ready, thrown, context, now)
  const facts = { status: ending.status, failures: ready.run.failures + 1, error: asSalvorError(thrown) }
  if (ending.status === 'again') log.debug(facts, 'asked to wait')
  else if (ending.status === 'retry') log.warn(facts, 'attempt failed')
  else log.error(facts, 'run failed for good')
  return ending
}

function stopped({ run }: ReadyRun, stop: AbortSignal, now: Instant): Ending {
  const asked = (stop.reason as StopReason) === 'cancelled' && run.causation_id === null
  return asked ? cancelled() : interrupted(now)
}

/** The catalog's clock, or this machine's while the catalog is away: the end is written later. */
function nowOr(deps: Deps): Promise<Instant> {
  return deps.catalog.now().catch(() => deps.clock.now())
}
