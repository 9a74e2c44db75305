import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'

/** Brings a piece to each of these stores. One that fails holds up no other; the worst failure is thrown at the end. */
export async function bringToAll(
  stores: readonly string[],
  bring: (store: string) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const failures: SalvorError[] = []
  for (const store of stores) {
    try {
      await bring(store)
    } catch (error) {
      signal.throwIfAborted()
      failures.push(asSalvorError(error))
    }
  }
  const worst = failures.find(({ retryable }) => retryable) ?? failures[0]
  if (worst) throw worst
}

/** Tries the copies one after another until one could be brought; `missing`: there is none. */
export async function bringFromAny<P>(
  copies: readonly P[],
  bring: (copy: P) => Promise<void>,
  missing: () => SalvorError,
  signal: AbortSignal,
): Promise<void> {
  let failure: unknown = null
  for (const copy of copies) {
    try {
      await bring(copy)
      return
    } catch (error) {
      signal.throwIfAborted()
      failure = error
    }
  }
  throw failure ?? missing()
}
