import { createDecipheriv } from 'node:crypto'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing, Signature } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { openFeed } from './byte-feed.ts'
import { MAX_DOCUMENT_BYTES, type Signed } from './canonical-json.ts'
import { commitsTo } from './encrypt.ts'
import { decompressFrame } from './frames.ts'
import { sha256, StreamHash } from './hash.ts'
import { readObject } from './read-object.ts'
import { parseWalDocument, type WalDocument } from './wal-document.ts'
import { walContentKey, walDocumentKey } from './wal-layout.ts'

export interface WalAddress {
  readonly store: Store
  readonly keyring: KeyRing
  readonly source: string
  readonly name: string
}

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
 * count only when the last one came, since tag and checksum are compared then. STORE_NOT_FOUND, ARTIFACT_CORRUPT, KEY_MISSING.
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
  const corrupt = (reason: string, cause?: unknown) =>
    new SalvorError('ARTIFACT_CORRUPT', { key, reason, source }, cause)
  if (expected.document_sha256 !== undefined && expected.document_sha256 !== found.sha256)
    throw corrupt('its document is not the one that the catalog recorded')
  const size = await store.head(key, signal)
  if (size?.size !== document.size_bytes)
    throw size ? corrupt(`it has ${size.size} bytes`) : new SalvorError('STORE_NOT_FOUND', { store: store.name, key })
  const decipher = openCipher(document, keyring, walDocumentKey(source, name))
  const hash = new StreamHash()
  await using feed = await openFeed(store, key, document.size_bytes, signal)
  for (const [n, frame] of document.frames.entries()) {
    const stored = Buffer.allocUnsafe(frame.bytes)
    if (!(await feed.take(stored))) throw corrupt(`it ends within frame ${n}`)
    if (sha256(stored) !== frame.sha256) throw corrupt(`frame ${n} does not match its document`)
    hash.update(stored)
    yield opened(decipher ? decipher.update(stored) : stored, plainLength(document, n), () =>
      corrupt(`frame ${n} does not open`),
    )
  }
  if (hash.hex() !== document.checksum_sha256) throw corrupt('its SHA-256 is not that of its document')
  try {
    decipher?.final()
  } catch (error) {
    throw corrupt('its tag does not fit', error)
  }
}

function opened(stored: Uint8Array, plainBytes: number, failure: () => SalvorError): Buffer {
  try {
    return decompressFrame(stored, plainBytes, 'zstd')
  } catch {
    throw failure()
  }
}

function plainLength({ source_bytes, frame_bytes }: WalDocument, frame: number): number {
  return Math.min(frame_bytes, source_bytes - frame * frame_bytes)
}

function openCipher({ encryption, id, source }: WalDocument, keyring: KeyRing, key: string) {
  if (encryption === null) return null
  const dataKey = keyring.unwrap(encryption.wrapped, key)
  try {
    if (!commitsTo(dataKey, id, encryption.key_commitment))
      throw new SalvorError('ARTIFACT_CORRUPT', { key, reason: 'its key is not that of the document', source })
    const decipher = createDecipheriv('aes-256-gcm', dataKey, Buffer.from(encryption.iv, 'hex'))
    decipher.setAuthTag(Buffer.from(encryption.tag, 'hex'))
    return decipher
  } finally {
    dataKey.fill(0)
  }
}
