import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { ObjectKey, Store } from '@salvor/shared/ports/store'
import type { WalFile } from '@salvor/shared/vocabulary/wal'
import { readWalDocument } from './read-wal.ts'
import { walFileOf } from './wal-document.ts'
import { parseWalDocumentKey } from './wal-layout.ts'

/** Documents read side by side: there are thousands of them, each a small object. */
const AT_ONCE = 16

export type FoundWalFile =
  | { readonly key: ObjectKey; readonly file: WalFile; readonly error: null }
  | { readonly key: ObjectKey; readonly file: null; readonly error: SalvorError }

/** Every piece of WAL that a store holds, by its signed documents alone. One that cannot be trusted hides no other. */
export async function* findWal(store: Store, keyring: KeyRing, signal: AbortSignal): AsyncGenerator<FoundWalFile> {
  const ahead: Promise<FoundWalFile | null>[] = []
  for await (const { key } of store.list('', signal)) {
    const named = parseWalDocumentKey(key)
    if (named === null) continue
    ahead.push(lookAt(store, keyring, key, named, signal))
    if (ahead.length < AT_ONCE) continue
    const found = await ahead.shift()!
    if (found) yield found
  }
  for (const one of ahead) {
    const found = await one
    if (found) yield found
  }
}

async function lookAt(
  store: Store,
  keyring: KeyRing,
  key: ObjectKey,
  { source, name }: { readonly source: string; readonly name: string },
  signal: AbortSignal,
): Promise<FoundWalFile | null> {
  try {
    const found = await readWalDocument({ store, keyring, source, name }, signal)
    return found && { key, file: walFileOf(found.body, found.sha256), error: null }
  } catch (thrown) {
    signal.throwIfAborted()
    return { key, file: null, error: asSalvorError(thrown) }
  }
}
