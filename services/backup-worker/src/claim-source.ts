import { serializeClaim, type Claim } from '@salvor/repository/claim'
import { claimKey } from '@salvor/repository/layout'
import { newestClaim } from '@salvor/repository/newest-claim'
import { putObject } from '@salvor/repository/put-object'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'

/**
 * Claims a source in a store for this catalog by a write-once object, and stops this worker where another catalog, or a
 * later life of this one, holds the claim: two catalogs over one place would retire each other's backups.
 */
export async function claimSource(deps: Deps, source: string, storeName: string, signal: AbortSignal): Promise<void> {
  const { catalog } = deps
  const { id: catalog_id, epoch } = catalog
  const isOurs = (held: Claim | null): boolean => held?.catalog_id === catalog_id && held.epoch === epoch
  const held = await newestClaim(deps.store(storeName), deps.keyring, source, signal)
  if (isOurs(held)) return
  if (held !== null && held.epoch >= epoch) {
    throw new SalvorError('SOURCE_CLAIMED', { source, store: storeName, owner: held.catalog_id })
  }
  const claim: Claim = { format_version: 1, catalog_id, epoch, source, since: deps.clock.now() }
  try {
    await putObject(deps.store(storeName), claimKey(source, epoch), [serializeClaim(claim, deps.keyring)], signal)
  } catch (error) {
    if (!(error instanceof SalvorError) || error.code !== 'STORE_CONFLICT') throw error
    // Somebody was a moment earlier: a backup and the stream of this catalog begin at the same time, or it is another one.
    const now = await newestClaim(deps.store(storeName), deps.keyring, source, signal)
    if (!isOurs(now)) {
      throw new SalvorError(
        'SOURCE_CLAIMED',
        { source, store: storeName, owner: now?.catalog_id ?? 'another catalog' },
        error,
      )
    }
  }
  await catalog.transaction({ service: 'backup-worker' }, (tx) => tx.recordClaim(source, storeName))
}
