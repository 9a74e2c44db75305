import { drainHere } from '@salvor/runtime/drain'
import { KEPT_MS } from '@salvor/runtime/reconciler'
import type { JobName } from '@salvor/shared/messages/jobs'
import type { Holder } from '@salvor/shared/ports/catalog'
import type { Deps, ServiceDefinition } from '@salvor/shared/ports/service'

/** Copies that a store refused and messages that a channel refused, of earlier commands. */
const LEFT = ['replicate-copy', 'send-notification'] as const
/** What may read and write a whole database once more: only a command that takes a backup does that. */
const LEFT_OF_BACKUPS = [...LEFT, 'merge-chain'] as const
const AT_MOST = 50
const PRUNED_AT_MOST = 500
const RECONCILE_EVERY_MS = 30_000

/**
 * Where no service runs, each command also tries again what earlier ones could not bring to its end: a copy to a store that
 * was down last night, a message that was not taken. Cron alone then gets every copy made, and the catalog
 * does not grow without end.
 */
export async function finishLeftovers(
  definitions: readonly ServiceDefinition[],
  deps: Deps,
  holder: Holder,
  job: JobName,
  signal: AbortSignal,
): Promise<void> {
  if ((await deps.catalog.leases('service:')).length > 0) return
  await deps.catalog.prune(KEPT_MS, PRUNED_AT_MOST)
  // What a killed command had under way.
  await deps.catalog.reconcile(RECONCILE_EVERY_MS)
  const queued = await deps.catalog.runs({
    states: ['queued'],
    jobs: job === 'take-backup' ? LEFT_OF_BACKUPS : LEFT,
    limit: AT_MOST,
  })
  const now = await deps.catalog.now()
  const due = new Set(queued.filter((run) => run.not_before <= now).map((run) => run.correlation_id))
  for (const correlation_id of due) await drainHere(definitions, deps, holder, { correlation_id, signal, until: now })
}
