import type { JobRun, JobName } from '@salvor/shared/messages/jobs'
import type { Deps } from '@salvor/shared/ports/service'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { keepRenewed } from '../lease.ts'
import type { DispatchContext } from './context.ts'

/** Fresh progress is written this often at most, so that who follows a run in the catalog sees it move. */
const PROGRESS_EVERY_MS = 1000

export interface KeptRun extends AsyncDisposable {
  /** Aborts when the run is to stop, for whatever reason. */
  readonly signal: AbortSignal
  /** The attempt was replaced, or could not be renewed for the length of its lease. */
  readonly lost: boolean
  readonly report: (progress: RunProgress) => void
}

/** Renews the lease of a run, and writes its progress, until it is disposed. */
export function keepRun(run: JobRun<JobName>, context: DispatchContext, deps: Deps, stop: AbortSignal): KeptRun {
  const { leaseMs } = context
  const lost = new AbortController()
  let latest: RunProgress | null = run.progress
  let written: RunProgress | null = latest
  const end = keepRenewed({
    ttlMs: leaseMs,
    // The claim was answered just now: it began a little earlier, which a renewal at a third makes good.
    since: performance.now(),
    everyMs: Math.min(leaseMs / 3, PROGRESS_EVERY_MS),
    due: (goodForMs) => latest !== written || goodForMs >= leaseMs / 3,
    async renew() {
      const progress = latest
      const mine = await deps.catalog.renewRun(run.id, run.attempt, leaseMs, progress)
      written = progress
      return mine
    },
    onLost: (cause) => lost.abort(cause),
  })
  return {
    signal: AbortSignal.any([lost.signal, stop]),
    get lost() {
      return lost.signal.aborted
    },
    report(progress) {
      latest = progress
      context.observer.progress?.(run.id, run.job, progress)
    },
    [Symbol.asyncDispose]: end,
  }
}
