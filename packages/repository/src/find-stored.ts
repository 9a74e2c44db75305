import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { lookAtBackup, type FoundBackup } from './find-backups.ts'
import { lookAtWal, type FoundWalFile } from './find-wal.ts'
import { parseManifestKey } from './layout.ts'
import { parseWalDocumentKey } from './wal-layout.ts'

/** Documents read side by side: there are thousands of them, each a small object. */
const AT_ONCE = 16

export type FoundStored =
  | { readonly kind: 'backup'; readonly found: FoundBackup }
  | { readonly kind: 'wal'; readonly found: FoundWalFile }

/**
 * Every backup and every piece of WAL that a store holds, ascending by key, by their signed documents alone; the store is listed
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
  const named = parseWalDocumentKey(key)
  if (named === null) return null
  return lookAtWal(store, keyring, key, named, signal).then((found) => found && { kind: 'wal', found })
}
