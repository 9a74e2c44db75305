import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { MAX_DOCUMENT_BYTES, type Signed } from './canonical-json.ts'
import { type ChangeDocument, parseChangeDocument } from './change-document.ts'
import { changeContentKey, changeDocumentKey, type ChangeSetPlace } from './change-layout.ts'
import { readContent } from './read-piece.ts'
import { readObject } from './read-object.ts'

export interface ChangeSetAddress extends ChangeSetPlace {
  readonly store: Store
  readonly keyring: KeyRing
}

/** The document of a change set; null: the store has none. ARTIFACT_CORRUPT, SIGNER_UNKNOWN: it is not to be believed. */
export async function readChangeDocument(
  address: ChangeSetAddress,
  signal: AbortSignal,
): Promise<Signed<ChangeDocument> | null> {
  const { store, keyring } = address
  const key = changeDocumentKey(address)
  if (!(await store.head(key, signal))) return null
  return parseChangeDocument(await readObject(store, key, MAX_DOCUMENT_BYTES, signal), key, keyring)
}

/**
 * The plain bytes of a change set, frame by frame; they count only when the last one came. `document_sha256`: what the catalog,
 * or the set that stands on it, says of its document. STORE_NOT_FOUND, ARTIFACT_CORRUPT, KEY_MISSING.
 */
export async function* readChanges(
  address: ChangeSetAddress & { readonly document_sha256: string },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { store, keyring, source } = address
  const document_key = changeDocumentKey(address)
  const found = await readChangeDocument(address, signal)
  if (!found) throw new SalvorError('STORE_NOT_FOUND', { store: store.name, key: document_key })
  const key = changeContentKey(address, found.body.filename)
  if (found.sha256 !== address.document_sha256) {
    const reason = 'its document is not the one that the catalog recorded'
    throw new SalvorError('ARTIFACT_CORRUPT', { key, reason, source })
  }
  yield* readContent(found.body, { store, keyring, key, document_key }, signal)
}
