import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { WalFile } from '@salvor/shared/vocabulary/wal'
import { StreamHash } from './hash.ts'
import { MAX_DOCUMENT_BYTES } from './canonical-json.ts'
import { finishObject, putObject } from './put-object.ts'
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
  const corrupt = (key: string, reason: string) => new SalvorError('ARTIFACT_CORRUPT', { key, reason, source })
  if (document.sha256 !== document_sha256) throw corrupt(documentKey, 'it is not the one that the catalog recorded')
  const { filename, size_bytes, checksum_sha256 } = document.body
  const key = walContentKey(source, name, filename)
  const content = { key, size: size_bytes, sha256: checksum_sha256 }
  if (!(await isThere(to, content, signal))) {
    const writer = await to.create(key, {}, signal)
    try {
      const hash = new StreamHash()
      for await (const chunk of from.read(key, null, signal)) {
        hash.update(chunk)
        await writer.write(chunk)
      }
      if (hash.bytes !== size_bytes || hash.hex() !== checksum_sha256)
        throw corrupt(key, 'its SHA-256 is not that of its document')
      await finishObject(to, writer, size_bytes, checksum_sha256)
    } catch (error) {
      await writer.abort()
      throw error
    }
  }
  const own = { key: documentKey, size: file.length, sha256: document.sha256 }
  if (!(await isThere(to, own, signal))) await putObject(to, documentKey, [file], signal)
  return walFileOf(document.body, document.sha256)
}

interface Wanted {
  readonly key: string
  readonly size: number
  readonly sha256: string
}

/** An attempt before this one got so far. Objects are never overwritten: other bytes of that name are STORE_CONFLICT. */
async function isThere(store: Store, { key, size, sha256 }: Wanted, signal: AbortSignal): Promise<boolean> {
  const found = await store.head(key, signal)
  if (found === null) return false
  const hash = new StreamHash()
  if (found.size === size) for await (const chunk of store.read(key, null, signal)) hash.update(chunk)
  if (found.size !== size || hash.hex() !== sha256) throw new SalvorError('STORE_CONFLICT', { store: store.name, key })
  return true
}
