import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { ChangeSetFile } from '@salvor/shared/vocabulary/change-set'
import type { WalFile } from '@salvor/shared/vocabulary/wal'
import { lookAtBackup, type FoundBackup } from './find-backups.ts'
import { lookAtChanges } from './find-changes.ts'
import { lookAtWal } from './find-wal.ts'
import { parseManifestKey } from './layout.ts'
import type { FoundFile } from './look-at-document.ts'

/** Documents read side by side: there are thousands of them, each a small object. */
const AT_ONCE = 16

export type FoundStored =
  | { readonly kind: 'backup'; readonly found: FoundBackup }
  | { readonly kind: 'wal'; readonly found: FoundFile<WalFile> }
  | { readonly kind: 'changes'; readonly found: FoundFile<ChangeSetFile> }

/**
 * Every backup, piece of WAL and change set that a store holds, ascending by key, by their signed documents alone; the store is listed
 * once. One that cannot be trusted is given as an error and hides no other. Throws only when the store itself cannot be read.
 */
export async function* findStored(store: Store, keyring: KeyRing, signal: AbortSignal): AsyncGenerator<FoundStored> {
  const ahead: Promise<FoundStored | null>[] = []
  for await (const { key } of store.list('', signal)) {
    const look = lookAt(store, keyring, key, signal)
    if (look === null) continue
    look.catch(() => undefined)
    ahead.push(look)
    if (ahead.length < AT_ONCE) continue
    const found = await ahead.shift()!
    if (found) yield found
  }
  for (const look of ahead) {
    const found = await look
    if (found) yield found
  }
}

/** Null: the key is not that of a document. */
function lookAt(store: Store, keyring: KeyRing, key: string, signal: AbortSignal): Promise<FoundStored | null> | null {
  if (parseManifestKey(key) !== null)
    return lookAtBackup(store, key, keyring, signal).then((found) => ({ kind: 'backup', found }))
  const wal = lookAtWal(store, keyring, key, signal)
  if (wal !== null) return wal.then((found) => found && { kind: 'wal', found })
  const changes = lookAtChanges(store, keyring, key, signal)
  return changes && changes.then((found) => found && { kind: 'changes', found })
}
