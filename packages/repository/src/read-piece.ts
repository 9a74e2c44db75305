import { createDecipheriv } from 'node:crypto'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { openFeed } from './byte-feed.ts'
import { commitsTo } from './encrypt.ts'
import { decompressZstd } from './frames.ts'
import { freeBuffer } from './free-buffer.ts'
import { sha256, StreamHash } from './hash.ts'
import type { PieceContent } from './piece-content.ts'

export type ReadableDocument = PieceContent & { readonly id: string; readonly source: string }

export interface ContentAddress {
  readonly store: Store
  readonly keyring: KeyRing
  readonly key: string
  readonly document_key: string
}

/**
 * The plain bytes of a piece, frame by frame: none is opened before its stored bytes match the signed document, but the bytes
 * count only when the last one came, since tag and checksum are compared then. STORE_NOT_FOUND, ARTIFACT_CORRUPT, KEY_MISSING.
 */
export async function* readContent(
  document: ReadableDocument,
  { store, keyring, key, document_key }: ContentAddress,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { source } = document
  const corrupt = (reason: string, cause?: unknown) =>
    new SalvorError('ARTIFACT_CORRUPT', { key, reason, source }, cause)
  const size = await store.head(key, signal)
  if (size?.size !== document.size_bytes)
    throw size ? corrupt(`it has ${size.size} bytes`) : new SalvorError('STORE_NOT_FOUND', { store: store.name, key })
  const decipher = openCipher(document, keyring, document_key)
  const hash = new StreamHash()
  await using feed = await openFeed(store, key, document.size_bytes, signal)
  const room = Buffer.allocUnsafeSlow(Math.max(...document.frames.map(({ bytes }) => bytes)))
  for (const [n, frame] of document.frames.entries()) {
    const stored = room.subarray(0, frame.bytes)
    if (!(await feed.take(stored))) throw corrupt(`it ends within frame ${n}`)
    if (sha256(stored) !== frame.sha256) throw corrupt(`frame ${n} does not match its document`)
    hash.update(stored)
    const clear = decipher ? decipher.update(stored) : stored
    const plain = await decompressZstd(clear, plainLength(document, n)).catch(() => {
      throw corrupt(`frame ${n} does not open`)
    })
    if (decipher) freeBuffer(clear)
    yield plain
  }
  if (hash.hex() !== document.checksum_sha256) throw corrupt('its SHA-256 is not that of its document')
  try {
    decipher?.final()
  } catch (error) {
    throw corrupt('its tag does not fit', error)
  }
}

function plainLength({ source_bytes, frame_bytes }: PieceContent, frame: number): number {
  return Math.min(frame_bytes, source_bytes - frame * frame_bytes)
}

function openCipher({ encryption, id, source }: ReadableDocument, keyring: KeyRing, key: string) {
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
