import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { ObjectKey, Store } from '@salvor/shared/ports/store'
import type { WalFile } from '@salvor/shared/vocabulary/wal'
import { readWalDocument } from './read-wal.ts'
import { walFileOf } from './wal-document.ts'

export type FoundWalFile =
  | { readonly key: ObjectKey; readonly file: WalFile; readonly error: null }
  | { readonly key: ObjectKey; readonly file: null; readonly error: SalvorError }

/** A piece of WAL by its signed document alone; null: it is gone. */
export async function lookAtWal(
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
