import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { WalFile } from '@salvor/shared/vocabulary/wal'
import { findDocuments, type FoundFile } from './find-documents.ts'
import { readWalDocument } from './read-wal.ts'
import { walFileOf } from './wal-document.ts'
import { parseWalDocumentKey } from './wal-layout.ts'

/** Every piece of WAL that a store holds, by its signed documents alone. One that cannot be trusted hides no other. */
export function findWal(store: Store, keyring: KeyRing, signal: AbortSignal): AsyncGenerator<FoundFile<WalFile>> {
  return findDocuments(
    store,
    (key) => {
      const named = parseWalDocumentKey(key)
      if (named === null) return null
      return async () => {
        const found = await readWalDocument({ store, keyring, ...named }, signal)
        return found && walFileOf(found.body, found.sha256)
      }
    },
    signal,
  )
}
