import { readChanges } from '@salvor/repository/read-changes'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { Increment } from '@salvor/shared/ports/engine'
import type { Store } from '@salvor/shared/ports/store'
import type { ChangesInput } from '@salvor/shared/ports/tasks'
import { openStore, type TaskContext } from './task-context.ts'

/** Sets fetched ahead: each is a small object, and a day may have thousands. */
const AHEAD = 8
/** Bytes of a set that is fetched ahead at most. */
const SMALL_BYTES = 4 << 20

export interface OpenChanges extends AsyncDisposable {
  readonly increments: readonly Increment[]
}

/** Change sets, as incrementals on a chain, to be read in this order. Stores are open until it is disposed. */
export async function openChanges(
  input: ChangesInput | undefined,
  source: string,
  context: TaskContext,
  order: 'oldest first' | 'newest first' = 'oldest first',
): Promise<OpenChanges> {
  await using opened = new AsyncDisposableStack()
  const stores = new Map<string, Store>()
  const sets = order === 'oldest first' ? (input?.sets ?? []) : (input?.sets ?? []).toReversed()
  for (const { store } of sets)
    if (!stores.has(store)) stores.set(store, opened.use(await openStore(context, store)).store)
  const { keyring, signal } = context
  const fetched = new Map<number, Promise<Buffer[] | null>>()
  const readSet = (n: number) => {
    const { store, base, name, document_sha256 } = sets[n]!
    return readChanges({ store: stores.get(store)!, keyring, source, base, name, document_sha256 }, signal)
  }
  const ask = (n: number): Promise<Buffer[] | null> => {
    const asked = fetched.get(n) ?? small(readSet(n))
    asked.catch(() => undefined)
    fetched.set(n, asked)
    return asked
  }
  const increments = sets.map(({ name, to_at, state_sha256 }, n): Increment => ({
    id: name,
    consistent_at: to_at,
    engine_facts: { consistent_at: to_at, state_sha256 },
    async open(work) {
      for (let ahead = n; ahead < Math.min(n + AHEAD, sets.length); ahead += 1) void ask(ahead)
      const chunks = await ask(n)
      fetched.delete(n)
      return await work(contentOf(chunks ?? readSet(n), name))
    },
  }))
  const kept = opened.move()
  return { increments, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** Null: it is too large to be kept. */
async function small(content: AsyncIterable<Uint8Array>): Promise<Buffer[] | null> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of content) {
    chunks.push(Buffer.from(chunk))
    bytes += chunk.length
    if (bytes > SMALL_BYTES) return null
  }
  return chunks
}

function contentOf(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, name: string): ArtifactContent {
  return {
    size: 0,
    async *chunks() {
      yield* chunks
    },
    writeTo: () => Promise.reject(new SalvorError('INTERNAL', { what: `change set ${name} is no whole database` })),
  }
}
