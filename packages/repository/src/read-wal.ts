import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing, Signature } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { MAX_DOCUMENT_BYTES, type Signed } from './canonical-json.ts'
import { freeBuffer } from './free-buffer.ts'
import { readContent } from './read-piece.ts'
import { readObject } from './read-object.ts'
import { parseWalDocument, type WalDocument } from './wal-document.ts'
import { walContentKey, walDocumentKey } from './wal-layout.ts'

export interface WalAddress {
  readonly store: Store
  readonly keyring: KeyRing
  readonly source: string
  readonly name: string
}

const NOT_RECORDED = 'its document is not the one that the catalog recorded'

export type FoundWal = Signed<WalDocument> & { readonly signature: Signature }

/** The document of a piece; null: the store has none. ARTIFACT_CORRUPT, SIGNER_UNKNOWN: it is not to be believed. */
export async function readWalDocument(
  { store, keyring, source, name }: WalAddress,
  signal: AbortSignal,
): Promise<FoundWal | null> {
  const key = walDocumentKey(source, name)
  if (!(await store.head(key, signal))) return null
  const file = await readObject(store, key, MAX_DOCUMENT_BYTES, signal)
  const signed = parseWalDocument(file, key, keyring)
  const { signature } = JSON.parse(file.toString('utf8')) as { signature: Signature }
  return { ...signed, signature }
}

/**
 * The plain bytes of a piece, frame by frame: none is opened before its stored bytes match the signed document, but the bytes
 * count only when the last one came, since tag and checksum are compared then. Those of one are gone once the next is asked for.
 * STORE_NOT_FOUND, ARTIFACT_CORRUPT, KEY_MISSING.
 */
export async function* readWal(
  { store, keyring, source, name }: WalAddress,
  signal: AbortSignal,
  expected: { readonly document_sha256?: string } = {},
): AsyncGenerator<Uint8Array> {
  const found = await readWalDocument({ store, keyring, source, name }, signal)
  if (!found) throw new SalvorError('STORE_NOT_FOUND', { store: store.name, key: walDocumentKey(source, name) })
  const document = found.body
  const key = walContentKey(source, name, document.filename)
  if (expected.document_sha256 !== undefined && expected.document_sha256 !== found.sha256)
    throw new SalvorError('ARTIFACT_CORRUPT', { key, reason: NOT_RECORDED, source })
  const address = { store, keyring, key, document_key: walDocumentKey(source, name) }
  for await (const chunk of readContent(document, address, signal)) {
    yield chunk
    freeBuffer(chunk)
  }
}
