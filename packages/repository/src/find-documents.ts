import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectKey, Store } from '@salvor/shared/ports/store'

/** Documents read side by side: there are thousands of them, each a small object. */
const AT_ONCE = 16

export type FoundFile<F> =
  | { readonly key: ObjectKey; readonly file: F; readonly error: null }
  | { readonly key: ObjectKey; readonly file: null; readonly error: SalvorError }

/**
 * Every document of one kind that a store holds. `look`: null for the key of anything else, else what reads the document (null: it is
 * gone meanwhile). One that cannot be trusted hides no other.
 */
export async function* findDocuments<F>(
  store: Store,
  look: (key: ObjectKey) => (() => Promise<F | null>) | null,
  signal: AbortSignal,
): AsyncGenerator<FoundFile<F>> {
  const ahead: Promise<FoundFile<F> | null>[] = []
  for await (const { key } of store.list('', signal)) {
    const read = look(key)
    if (read === null) continue
    ahead.push(lookAt(key, read, signal))
    if (ahead.length < AT_ONCE) continue
    const found = await ahead.shift()!
    if (found) yield found
  }
  for (const one of ahead) {
    const found = await one
    if (found) yield found
  }
}

async function lookAt<F>(
  key: ObjectKey,
  read: () => Promise<F | null>,
  signal: AbortSignal,
): Promise<FoundFile<F> | null> {
  try {
    const file = await read()
    return file && { key, file, error: null }
  } catch (thrown) {
    signal.throwIfAborted()
    return { key, file: null, error: asSalvorError(thrown) }
  }
}
