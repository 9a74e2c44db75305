import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { MAX_DOCUMENT_BYTES } from './canonical-json.ts'
import { parseClaim, type Claim } from './claim.ts'
import { readObject } from './read-object.ts'

/** The claim that holds a source in a store; null where none lies there. ARTIFACT_CORRUPT or SIGNER_UNKNOWN for one that cannot be trusted. */
export async function newestClaim(
  store: Store,
  keyring: KeyRing,
  source: string,
  signal: AbortSignal,
): Promise<Claim | null> {
  let newest: Claim | null = null
  for await (const { key } of store.list(`${source}/claims/`, signal)) {
    const { body } = parseClaim(await readObject(store, key, MAX_DOCUMENT_BYTES, signal), key, keyring)
    if (newest === null || body.epoch > newest.epoch) newest = body
  }
  return newest
}
