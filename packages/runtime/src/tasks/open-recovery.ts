import { readReplacedWal } from '@salvor/repository/read-replaced-wal'
import type { RecoveryRequest } from '@salvor/shared/ports/engine'
import type { Store } from '@salvor/shared/ports/store'
import type { RecoveryInput } from '@salvor/shared/ports/tasks'
import { openStore, type TaskContext } from './task-context.ts'

export interface OpenRecovery extends AsyncDisposable {
  readonly request: RecoveryRequest
}

/** WAL of a recovery, ready to be read. Stores are open until it is disposed. */
export async function openRecovery(input: RecoveryInput, source: string, context: TaskContext): Promise<OpenRecovery> {
  await using opened = new AsyncDisposableStack()
  const stores = new Map<string, Store>()
  for (const { store } of input.wal)
    if (!stores.has(store)) stores.set(store, opened.use(await openStore(context, store)).store)
  const { keyring, signal } = context
  const wal = input.wal.map(({ store, name, document_sha256, start_lsn, segment_size }) => ({
    name,
    start_lsn,
    segment_size,
    open: () =>
      readReplacedWal({ store: stores.get(store)!, keyring, source, name, start_lsn, document_sha256 }, signal),
  }))
  const kept = opened.move()
  return { request: { ...input, wal }, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
