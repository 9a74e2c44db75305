import { keptSince } from '@salvor/policy/thinning'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { CatalogTransaction } from '@salvor/shared/ports/catalog'
import type { Deps, JobHandler } from '@salvor/shared/ports/service'
import { type Expired, expireInStore } from '../expire-in-store.ts'

/**
 * Deletes the change sets of a source that its retention does not keep: first the catalog gives them to nobody any more, and a while later they go. A store
 * that does not answer holds up no other, and is tried again by the next run.
 */
export const expireChanges: JobHandler<'expire-changes'> = {
  async handle(run, deps, signal) {
    const { source } = run.params
    const refused = await refusal(deps, source)
    if (refused !== null) return { result: { skipped: refused } }
    const now = await deps.catalog.now()
    const since = keptSince(deps.settings().sources.get(source)!.retention, now)
    const backups = await deps.catalog.backups({ source })
    const proven = backups.filter(({ state, type }) => state === 'proven' && type !== 'pre_restore')
    const stores: Record<string, Expired | { readonly skipped: string }> = {}
    for (const store of deps.settings().stores.keys()) {
      try {
        const wish = { source, store, since, now, proven: proven.map(({ consistent_at }) => consistent_at) }
        stores[store] = await expireInStore(deps, wish, signal)
      } catch (thrown) {
        signal.throwIfAborted()
        const error = asSalvorError(thrown)
        // This identity may delete nothing, or the store keeps what it holds.
        const level = error.code === 'STORE_DENIED' ? 'debug' : 'warn'
        deps.log[level]({ source, store, error }, 'change sets that are not kept stay in the store')
        stores[store] = { skipped: error.message }
      }
    }
    return { result: { stores }, commit: (tx) => audited(tx, source, stores) }
  },
}

async function audited(
  tx: CatalogTransaction,
  source: string,
  stores: Readonly<Record<string, Expired | { readonly skipped: string }>>,
): Promise<void> {
  for (const [store, seen] of Object.entries(stores)) {
    if (!('deleted' in seen) || seen.deleted === 0) continue
    const outcome = `${seen.deleted} deleted in ${store}`
    await tx.audit({ actor: 'replicator', action: 'changes.expire', object: source, outcome })
  }
}

/** Why nothing of a source is deleted now; null: it may be. */
async function refusal(deps: Deps, source: string): Promise<string | null> {
  if (!deps.settings().sources.has(source)) return 'the source is not in the configuration: what it has is kept'
  if (deps.catalog.epoch > 1) return 'the catalog was rebuilt: nothing is deleted until a person confirms'
  const failing = (await deps.catalog.openIncidents()).some(({ key }) => key.startsWith(`${source}/backup/`))
  return failing ? 'backups fail' : null
}
