import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { WalFile } from '@salvor/shared/vocabulary/wal'
import { MAX_DOCUMENT_BYTES } from './canonical-json.ts'
import { copyPiece } from './copy-piece.ts'
import { readObject } from './read-object.ts'
import { parseWalDocument, walFileOf } from './wal-document.ts'
import { walContentKey, walDocumentKey } from './wal-layout.ts'

export interface WalCopyRequest {
  readonly from: Store
  readonly to: Store
  readonly keyring: KeyRing
  readonly source: string
  readonly name: string
  /** From the catalog. */
  readonly document_sha256: string
}

/**
 * Copies one piece of WAL as it is, its document last. A piece that is there already is left; another one of that name is
 * STORE_CONFLICT. ARTIFACT_CORRUPT: the origin does not hold what its document says.
 */
export async function copyWal(request: WalCopyRequest, signal: AbortSignal): Promise<WalFile> {
  const { from, to, keyring, source, name, document_sha256 } = request
  const documentKey = walDocumentKey(source, name)
  const file = await readObject(from, documentKey, MAX_DOCUMENT_BYTES, signal)
  const document = parseWalDocument(file, documentKey, keyring)
  if (document.sha256 !== document_sha256) {
    const reason = 'it is not the one that the catalog recorded'
    throw new SalvorError('ARTIFACT_CORRUPT', { key: documentKey, reason, source })
  }
  const { filename, size_bytes, checksum_sha256 } = document.body
  const content = { key: walContentKey(source, name, filename), size: size_bytes, sha256: checksum_sha256 }
  const own = { key: documentKey, size: file.length, sha256: document.sha256, bytes: file }
  await copyPiece(from, to, { source, content, document: own }, signal)
  return walFileOf(document.body, document.sha256)
}
