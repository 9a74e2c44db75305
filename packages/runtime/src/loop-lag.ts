import { createHistogram } from 'node:perf_hooks'

const EVERY_MS = 1_000

/** How late timers are in this process. */
export interface LoopLag extends Disposable {
  /** Seconds, of the looks since the last `reset`. */
  quantile(share: number): number
  reset(): void
}

/** One timer a second: Node's own monitor wakes the process a hundred times, which is most of what a quiet service would cost. */
export function watchLoopLag(everyMs: number = EVERY_MS): LoopLag {
  const late = createHistogram()
  let due = performance.now() + everyMs
  const timer = setInterval(() => {
    const now = performance.now()
    late.record(Math.max(1, Math.round((now - due) * 1e6)))
    due = now + everyMs
  }, everyMs).unref()
  return {
    quantile: (share) => (late.count === 0 ? 0 : late.percentile(share * 100) / 1e9),
    reset: () => late.reset(),
    [Symbol.dispose]: () => clearInterval(timer),
  }
}
