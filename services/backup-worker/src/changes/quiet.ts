import { setTimeout as sleep } from 'node:timers/promises'
import type { Deps } from '@salvor/shared/ports/service'

const LOOK_EVERY_MS = 5_000
const LONGEST_WAIT_MS = 30_000
const restoring = (source: string): string => `restore/${source}`
export const following = (source: string): string => `changes/${source}`

/** Whether a restore in place wants that nobody has the database of this source open. */
export async function isRestored({ catalog }: Deps, source: string): Promise<boolean> {
  const name = restoring(source)
  return (await catalog.leases(name)).some((lease) => lease.name === name)
}

/** Aborts when such a restore begins; looks until it is disposed. */
export function untilRestored(deps: Deps, source: string): Disposable & { readonly begun: AbortSignal } {
  const begun = new AbortController()
  const look = async (): Promise<void> => {
    if (await isRestored(deps, source)) begun.abort(new Error('a restore in place begins'))
  }
  // A catalog that is away knows of no restore either.
  const timer = setInterval(() => void look().catch(() => undefined), LOOK_EVERY_MS)
  return { begun: begun.signal, [Symbol.dispose]: () => clearInterval(timer) }
}

/** Lets the change stream of a source go for as long as it is held, wherever it runs. One that does not go is told of as a user of the target. */
export async function keepQuiet(deps: Deps, source: string, signal: AbortSignal): Promise<AsyncDisposable> {
  const lease = await deps.lease(restoring(source))
  const name = following(source)
  for (const end = performance.now() + LONGEST_WAIT_MS; performance.now() < end;) {
    if (!(await deps.catalog.leases(name)).some((held) => held.name === name)) break
    await sleep(250, undefined, { signal })
  }
  return { [Symbol.asyncDispose]: async () => lease?.[Symbol.asyncDispose]() }
}
