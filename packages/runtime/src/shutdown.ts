/** Signals that end a process in good order, and the one that makes it read its configuration anew. */
const ENDING = ['SIGTERM', 'SIGINT'] as const

export interface Signals extends Disposable {
  /** Aborts at the first signal that ends a process. */
  readonly stop: AbortSignal
  /** Aborts at the second: do not wait for work at hand. */
  readonly hurry: AbortSignal
}

/** Listens until disposed. `given` stands for the first signal where a caller stops the work itself. */
export function listenForSignals(onReload: () => void, given?: AbortSignal): Signals {
  const stop = new AbortController()
  const hurry = new AbortController()
  const end = (): void => (stop.signal.aborted ? hurry.abort() : stop.abort())
  for (const signal of ENDING) process.on(signal, end)
  process.on('SIGHUP', onReload)
  if (given?.aborted) stop.abort()
  given?.addEventListener('abort', () => stop.abort(), { once: true })
  return {
    stop: stop.signal,
    hurry: hurry.signal,
    [Symbol.dispose]() {
      for (const signal of ENDING) process.off(signal, end)
      process.off('SIGHUP', onReload)
    },
  }
}
