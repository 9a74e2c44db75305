import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { ChangeSetFile } from '@salvor/shared/vocabulary/change-set'
import { changeSetFileOf } from './change-document.ts'
import { parseChangeDocumentKey } from './change-layout.ts'
import { findDocuments, type FoundFile } from './find-documents.ts'
import { readChangeDocument } from './read-changes.ts'

/** Every change set that a store holds, by its signed documents alone. One that cannot be trusted hides no other. */
export function findChanges(
  store: Store,
  keyring: KeyRing,
  signal: AbortSignal,
): AsyncGenerator<FoundFile<ChangeSetFile>> {
  return findDocuments(
    store,
    (key) => {
      const place = parseChangeDocumentKey(key)
      if (place === null) return null
      return async () => {
        const found = await readChangeDocument({ store, keyring, ...place }, signal)
        return found && changeSetFileOf(found.body, found.sha256)
      }
    },
    signal,
  )
}
