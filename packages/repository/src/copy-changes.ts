import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { ChangeSetFile } from '@salvor/shared/vocabulary/change-set'
import { MAX_DOCUMENT_BYTES } from './canonical-json.ts'
import { changeSetFileOf, parseChangeDocument } from './change-document.ts'
import { changeContentKey, changeDocumentKey, type ChangeSetPlace } from './change-layout.ts'
import { copyPiece } from './copy-piece.ts'
import { readObject } from './read-object.ts'

export interface ChangesCopyRequest extends ChangeSetPlace {
  readonly from: Store
  readonly to: Store
  readonly keyring: KeyRing
  /** From the catalog. */
  readonly document_sha256: string
}

/**
 * Copies one change set as it is, its document last. A set that is there already is left; another one of that name is
 * STORE_CONFLICT. ARTIFACT_CORRUPT: the origin does not hold what its document says.
 */
export async function copyChanges(request: ChangesCopyRequest, signal: AbortSignal): Promise<ChangeSetFile> {
  const { from, to, keyring, source, document_sha256 } = request
  const key = changeDocumentKey(request)
  const file = await readObject(from, key, MAX_DOCUMENT_BYTES, signal)
  const { body, sha256 } = parseChangeDocument(file, key, keyring)
  if (sha256 !== document_sha256) {
    const reason = 'it is not the one that the catalog recorded'
    throw new SalvorError('ARTIFACT_CORRUPT', { key, reason, source })
  }
  const { filename, size_bytes: size, checksum_sha256 } = body
  const content = { key: changeContentKey(request, filename), size, sha256: checksum_sha256 }
  await copyPiece(from, to, { source, content, document: { key, size: file.length, sha256, bytes: file } }, signal)
  return changeSetFileOf(body, sha256)
}
