import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import type { Deps } from '@salvor/shared/ports/service'
import type { Run } from '@salvor/shared/vocabulary/run'
import { pause } from '../lease.ts'
import type { DispatchContext } from './context.ts'

/** A queue's clock may run ahead of the catalog's: so much earliness is waited out here. */
const EARLY_MS = 5000

/** The run, if it is queued, due and nobody else's. One that is a little early is waited for. */
export async function claimRun(
  runId: string,
  context: DispatchContext,
  deps: Deps,
  stop: AbortSignal,
): Promise<Run | null> {
  const { catalog } = deps
  const claimed = await catalog.claimRun(runId, context.holder, context.leaseMs)
  if (claimed !== null) return claimed
  const run = await catalog.run(runId)
  if (run?.state !== 'queued') return null
  const early = elapsedMs(await catalog.now(), run.not_before)
  if (early <= 0 || early > EARLY_MS || !(await pause(early + 1, stop))) return null
  return catalog.claimRun(runId, context.holder, context.leaseMs)
}
