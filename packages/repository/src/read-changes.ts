import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { MAX_DOCUMENT_BYTES, type Signed } from './canonical-json.ts'
import { type ChangeDocument, parseChangeDocument } from './change-document.ts'
import { changeContentKey, changeDocumentKey, type ChangeSetPlace } from './change-layout.ts'
import { StreamHash } from './hash.ts'
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

/** What the catalog, or the set that stands on it, says of its document. */
type Expected = ChangeSetAddress & { readonly document_sha256: string }

async function expectedDocument(address: Expected, signal: AbortSignal): Promise<ChangeDocument> {
  const { store, source } = address
  const key = changeDocumentKey(address)
  const found = await readChangeDocument(address, signal)
  if (!found) throw new SalvorError('STORE_NOT_FOUND', { store: store.name, key })
  if (found.sha256 === address.document_sha256) return found.body
  const reason = 'its document is not the one that the catalog recorded'
  throw new SalvorError('ARTIFACT_CORRUPT', { key, reason, source })
}

/**
 * The plain bytes of a change set, frame by frame; they count only when the last one came. STORE_NOT_FOUND, ARTIFACT_CORRUPT,
 * KEY_MISSING.
 */
export async function* readChanges(address: Expected, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { store, keyring } = address
  const document = await expectedDocument(address, signal)
  const key = changeContentKey(address, document.filename)
  yield* readContent(document, { store, keyring, key, document_key: changeDocumentKey(address) }, signal)
}

/** Resolves when the stored bytes of a set are those that its document says; needs no key. STORE_NOT_FOUND, ARTIFACT_CORRUPT. */
export async function assertChangesStored(address: Expected, signal: AbortSignal): Promise<void> {
  const { store, source } = address
  const { filename, checksum_sha256 } = await expectedDocument(address, signal)
  const key = changeContentKey(address, filename)
  const hash = new StreamHash()
  for await (const chunk of store.read(key, null, signal)) hash.update(chunk)
  if (hash.hex() === checksum_sha256) return
  throw new SalvorError('ARTIFACT_CORRUPT', { key, reason: 'its SHA-256 is not that of its document', source })
}
