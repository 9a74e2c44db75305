import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { ObjectKey, Store } from '@salvor/shared/ports/store'
import type { WalFile } from '@salvor/shared/vocabulary/wal'
import { lookAtDocument, type FoundFile } from './look-at-document.ts'
import { readWalDocument } from './read-wal.ts'
import { walFileOf } from './wal-document.ts'
import { parseWalDocumentKey } from './wal-layout.ts'

/** A piece of WAL by its signed document alone, null inside: it is gone. Null: the key is not that of one. */
export function lookAtWal(
  store: Store,
  keyring: KeyRing,
  key: ObjectKey,
  signal: AbortSignal,
): Promise<FoundFile<WalFile> | null> | null {
  const named = parseWalDocumentKey(key)
  if (named === null) return null
  const read = async (): Promise<WalFile | null> => {
    const found = await readWalDocument({ store, keyring, ...named }, signal)
    return found && walFileOf(found.body, found.sha256)
  }
  return lookAtDocument(key, read, signal)
}
