import { readWal } from '@salvor/repository/read-wal'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectKey, Store } from '@salvor/shared/ports/store'
import type { TaskTable, WalFault } from '@salvor/shared/ports/tasks'
import { walDocumentKey, walPrefix } from '@salvor/repository/wal-layout'
import { openStore, type TaskContext } from './task-context.ts'

/** What says something about a piece; anything else is about the way to it, and ends the look. */
const FAULTS: ReadonlySet<string> = new Set([
  'ARTIFACT_CORRUPT',
  'SIGNER_UNKNOWN',
  'STORE_NOT_FOUND',
  'MANIFEST_INVALID',
])

/** Looks whether a store has the pieces of WAL that the catalog knows of there, and decodes the ones that are asked for. */
export async function inspectWal(
  { source, store: name, pieces }: TaskTable['inspect-wal']['input'],
  context: TaskContext,
): Promise<TaskTable['inspect-wal']['output']> {
  const { keyring, signal, progress } = context
  await using opened = await openStore(context, name)
  const { store } = opened
  const documents = await documentsIn(store, source, signal)
  const faults: WalFault[] = []
  let decoded = 0
  for (const { name: piece, document_sha256, decode } of pieces) {
    signal.throwIfAborted()
    if (!documents.has(walDocumentKey(source, piece))) {
      faults.push({ name: piece, missing: true, reason: 'it is gone' })
      continue
    }
    if (!decode) continue
    try {
      for await (const _ of readWal({ store, keyring, source, name: piece }, signal, { document_sha256 }));
      decoded++
      progress({ phase: 'decode WAL', done_bytes: decoded, total_bytes: null })
    } catch (thrown) {
      signal.throwIfAborted()
      const error = asSalvorError(thrown)
      if (!FAULTS.has(error.code)) throw error
      faults.push({ name: piece, missing: error.code === 'STORE_NOT_FOUND', reason: error.message })
    }
  }
  return { decoded, faults }
}

async function documentsIn(store: Store, source: string, signal: AbortSignal): Promise<ReadonlySet<ObjectKey>> {
  const found = new Set<ObjectKey>()
  for await (const { key } of store.list(walPrefix(source), signal)) if (key.endsWith('.json')) found.add(key)
  return found
}
