import { readClaim, writeClaim } from '@salvor/repository/claim'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'

/**
 * Claims a source in a store for this catalog by a write-once object, and stops this worker where another catalog, or a
 * later life of this one, holds the claim: two catalogs over one place would retire each other's backups.
 */
export async function claimSource(deps: Deps, source: string, storeName: string, signal: AbortSignal): Promise<void> {
  const { catalog } = deps
  const store = deps.store(storeName)
  const newest = await readClaim(store, source, deps.keyring, signal)
  const mine = newest !== null && newest.catalog_id === catalog.id
  if (newest !== null && (newest.epoch > catalog.epoch || (newest.epoch === catalog.epoch && !mine))) {
    throw new SalvorError('SOURCE_CLAIMED', { source, store: storeName, owner: newest.catalog_id })
  }
  if (mine && newest.epoch === catalog.epoch) return
  const claim = { catalog_id: catalog.id, epoch: catalog.epoch, since: deps.clock.now() }
  await writeClaim(store, source, claim, deps.keyring, signal)
  await catalog.transaction({ service: 'backup-worker' }, (tx) => tx.recordClaim(source, storeName))
}
