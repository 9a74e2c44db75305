import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectKey } from '@salvor/shared/ports/store'

/** What a signed document says, or why it cannot be trusted. */
export type FoundFile<F> =
  | { readonly key: ObjectKey; readonly file: F; readonly error: null }
  | { readonly key: ObjectKey; readonly file: null; readonly error: SalvorError }

/** `read` gives null where the document is gone meanwhile. */
export async function lookAtDocument<F>(
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
