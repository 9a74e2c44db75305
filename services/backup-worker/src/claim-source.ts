import { parseClaim, serializeClaim, type Claim } from '@salvor/repository/claim'
import { claimKey } from '@salvor/repository/layout'
import { putObject } from '@salvor/repository/put-object'
import { readObject } from '@salvor/repository/read-object'
import { MAX_DOCUMENT_BYTES } from '@salvor/repository/canonical-json'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'

/**
 * Claims a source in a store for this catalog by a write-once object, and stops this worker where another catalog, or a
 * later life of this one, holds the claim: two catalogs over one place would retire each other's backups.
 */
export async function claimSource(deps: Deps, source: string, storeName: string, signal: AbortSignal): Promise<void> {
  const { catalog } = deps
  const { id: catalog_id, epoch } = catalog
  const held = await newestClaim(deps, source, storeName, signal)
  if (held?.catalog_id === catalog_id && held.epoch === epoch) return
  if (held !== null && held.epoch >= epoch) {
    throw new SalvorError('SOURCE_CLAIMED', { source, store: storeName, owner: held.catalog_id })
  }
  const claim: Claim = { format_version: 1, catalog_id, epoch, source, since: deps.clock.now() }
  try {
    await putObject(deps.store(storeName), claimKey(source, epoch), [serializeClaim(claim, deps.keyring)], signal)
  } catch (error) {
    // Another catalog of the same epoch was a moment earlier.
    const lost = error instanceof SalvorError && error.code === 'STORE_CONFLICT'
    throw lost
      ? new SalvorError('SOURCE_CLAIMED', { source, store: storeName, owner: 'another catalog' }, error)
      : error
  }
  await catalog.transaction({ service: 'backup-worker' }, (tx) => tx.recordClaim(source, storeName))
}

async function newestClaim(deps: Deps, source: string, storeName: string, signal: AbortSignal): Promise<Claim | null> {
  const store = deps.store(storeName)
  let newest: Claim | null = null
  for await (const { key } of store.list(`${source}/claims/`, signal)) {
    const { body } = parseClaim(await readObject(store, key, MAX_DOCUMENT_BYTES, signal), key, deps.keyring)
    if (newest === null || body.epoch > newest.epoch) newest = body
  }
  return newest
}
