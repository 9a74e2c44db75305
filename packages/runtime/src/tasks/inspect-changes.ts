import { readChanges } from '@salvor/repository/read-changes'
import { changeDocumentKey, changesPrefix } from '@salvor/repository/change-layout'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectKey } from '@salvor/shared/ports/store'
import type { ChangeSetFault, TaskTable } from '@salvor/shared/ports/tasks'
import { openStore, type TaskContext } from './task-context.ts'

/** Sets read side by side: a day may have thousands, each a small object. */
const AT_ONCE = 8
/** What says something about a set; anything else is about the way to it, and ends the look. */
const FAULTS: ReadonlySet<string> = new Set([
  'ARTIFACT_CORRUPT',
  'SIGNER_UNKNOWN',
  'STORE_NOT_FOUND',
  'MANIFEST_INVALID',
])

/** Looks whether a store has the change sets that the catalog knows of there, and decodes the ones that are asked for. */
export async function inspectChanges(
  { source, store: name, sets }: TaskTable['inspect-changes']['input'],
  context: TaskContext,
): Promise<TaskTable['inspect-changes']['output']> {
  const { keyring, signal, progress } = context
  await using opened = await openStore(context, name)
  const { store } = opened
  // Of these alone: a store may have many times as many.
  const documents = new Set<ObjectKey>()
  const wanted = new Set(sets.map(({ base, name: set }) => changeDocumentKey({ source, base, name: set })))
  for await (const { key } of store.list(changesPrefix(source), signal)) if (wanted.has(key)) documents.add(key)
  const faults: ChangeSetFault[] = []
  let decoded = 0
  const queue = sets.entries()
  const look = async (): Promise<void> => {
    for (const [n, { base, name: set, document_sha256, decode }] of queue) {
      signal.throwIfAborted()
      const place = { source, base, name: set }
      if (!documents.has(changeDocumentKey(place))) faults.push({ n, missing: true, reason: 'it is gone' })
      else if (decode) {
        const fault = await decodeOne({ store, keyring, ...place, document_sha256 }, signal)
        if (fault) faults.push({ n, ...fault })
        else progress({ phase: 'decode change sets', done_bytes: (decoded += 1), total_bytes: null })
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, look))
  return { decoded, faults: faults.toSorted((a, b) => a.n - b.n) }
}

async function decodeOne(
  address: Parameters<typeof readChanges>[0],
  signal: AbortSignal,
): Promise<Omit<ChangeSetFault, 'n'> | null> {
  try {
    for await (const _ of readChanges(address, signal));
    return null
  } catch (thrown) {
    signal.throwIfAborted()
    const error = asSalvorError(thrown)
    if (!FAULTS.has(error.code)) throw error
    return { missing: error.code === 'STORE_NOT_FOUND', reason: error.message }
  }
}
