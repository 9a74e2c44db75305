import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { ObjectKey, Store } from '@salvor/shared/ports/store'
import type { ChangeSetFile } from '@salvor/shared/vocabulary/change-set'
import { changeSetFileOf } from './change-document.ts'
import { parseChangeDocumentKey } from './change-layout.ts'
import { lookAtDocument, type FoundFile } from './look-at-document.ts'
import { readChangeDocument } from './read-changes.ts'

/** A change set by its signed document alone, null inside: it is gone. Null: the key is not that of one. */
export function lookAtChanges(
  store: Store,
  keyring: KeyRing,
  key: ObjectKey,
  signal: AbortSignal,
): Promise<FoundFile<ChangeSetFile> | null> | null {
  const place = parseChangeDocumentKey(key)
  if (place === null) return null
  const read = async (): Promise<ChangeSetFile | null> => {
    const found = await readChangeDocument({ store, keyring, ...place }, signal)
    return found && changeSetFileOf(found.body, found.sha256)
  }
  return lookAtDocument(key, read, signal)
}
