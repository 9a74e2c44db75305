import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps, JobHandler } from '@salvor/shared/ports/service'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { removeLeftovers } from '../leftovers.ts'
import { planChanges } from '../plan-changes.ts'

const EVERY_MS = 24 * 3600_000

/** Stores in which this process may not delete: said once. */
const denied = new Set<string>()

/** Looks once a day into each store for what attempts that broke off left there, and plans what is due for change sets. One store that fails holds up no other. */
export const checkStores: JobHandler<'check-stores'> = {
  async handle(_run, deps, signal) {
    const removed: Record<string, number> = {}
    for (const name of deps.settings().stores.keys()) {
      removed[name] = await checkStore(name, deps, signal)
      if (signal.aborted) break
    }
    signal.throwIfAborted()
    const now = await deps.catalog.now()
    const commit = await planChanges(deps, now)
    return { again: shifted(now, EVERY_MS), result: { removed }, commit }
  },
}

async function checkStore(name: string, deps: Deps, signal: AbortSignal): Promise<number> {
  try {
    const removed = await removeLeftovers(deps, deps.store(name), signal)
    const count = removed.uploads + removed.objects
    if (count > 0) deps.log.info({ store: name, ...removed }, 'what broken attempts left was removed')
    return count
  } catch (thrown) {
    const error = asSalvorError(thrown)
    if (signal.aborted) return 0
    if (error.code !== 'STORE_DENIED')
      deps.log.warn({ store: name, error }, 'leftovers not looked for; tried again tomorrow')
    else if (!denied.has(name)) {
      denied.add(name)
      deps.log.warn({ store: name, error }, 'leftovers of broken attempts stay: this identity may not remove them')
    }
    return 0
  }
}
