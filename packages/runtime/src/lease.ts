import type { Catalog, Holder, Lease } from '@salvor/shared/ports/catalog'
import type { Log } from '@salvor/shared/ports/log'

export const LEASE_MS = 30_000

export interface LeaseOptions {
  readonly catalog: Catalog
  readonly holder: Holder
  readonly log: Log
  readonly ttlMs?: number
}

/** A lease that is renewed until it is disposed. */
export interface HeldLease extends AsyncDisposable {
  /** Aborts when another may hold it by now: whoever works under the lease stops. */
  readonly lost: AbortSignal
}

/** Takes the lease, or gives null when a live holder has it. Renewed at a third of its length. */
export async function holdLease(name: string, options: LeaseOptions): Promise<HeldLease | null> {
  const { catalog, holder, log } = options
  const ttlMs = options.ttlMs ?? LEASE_MS
  const asked = performance.now()
  const lease = await catalog.acquireLease(name, holder, ttlMs)
  if (lease === null) return null
  const lost = new AbortController()
  const stop = keepRenewed({
    ttlMs,
    since: asked,
    renew: () => catalog.renewLease(lease, ttlMs),
    onLost(cause) {
      log.error({ lease: name, error: cause }, 'lease lost')
      lost.abort(cause)
    },
  })
  return {
    lost: lost.signal,
    async [Symbol.asyncDispose]() {
      await stop()
      if (!lost.signal.aborted) await release(catalog, lease, log)
    },
  }
}

/** A release that fails costs the next holder a wait, not the caller its result. */
async function release(catalog: Catalog, lease: Lease, log: Log): Promise<void> {
  try {
    await catalog.releaseLease(lease)
  } catch (cause) {
    log.warn({ lease: lease.name, error: cause }, 'lease not released; it ends by itself')
  }
}

export interface Renewal {
  readonly ttlMs: number
  /** When the holder's time began, by performance.now(): before the lease was asked for. */
  readonly since: number
  renew(): Promise<boolean>
  /** Called once: a renewal said false, or none succeeded for the whole length. */
  onLost(cause?: unknown): void
  /** How often it is looked whether to renew; default: a third of the length. */
  readonly everyMs?: number
  /** Renew now already? `goodForMs`: since the last success. Default: yes. */
  due?(goodForMs: number): boolean
}

/** Renews until the given function is called. A renewal that hangs counts as one that failed. */
export function keepRenewed(renewal: Renewal): () => Promise<void> {
  const { ttlMs, since, everyMs = ttlMs / 3 } = renewal
  const stopped = new AbortController()
  const loop = async (): Promise<void> => {
    let good = since
    while (await pause(everyMs, stopped.signal)) {
      const asked = performance.now()
      if (renewal.due?.(asked - good) === false) continue
      // A process that slept past its time still asks: nobody may have taken its place.
      const left = Math.max(ttlMs / 3, good + ttlMs - asked)
      try {
        if (!(await within(left, stopped.signal, renewal.renew()))) return renewal.onLost()
        good = asked
      } catch (cause) {
        if (stopped.signal.aborted) return
        const now = performance.now()
        // Asleep while it waited (SIGSTOP, a paused machine): the answer may lie there unread.
        const slept = now - asked > left + ttlMs / 3
        if (!slept && now - good >= ttlMs) return renewal.onLost(cause)
      }
    }
  }
  const running = loop()
  return async () => {
    stopped.abort()
    await running
  }
}

/** Rejects when `work` takes longer than `ms` or the signal aborts; the work itself goes on unobserved. */
async function within<T>(ms: number, signal: AbortSignal, work: Promise<T>): Promise<T> {
  const over = new AbortController()
  try {
    const late = pause(ms, AbortSignal.any([signal, over.signal])).then(() => {
      throw new Error(`no answer within ${Math.round(ms)} ms`)
    })
    return await Promise.race([work, late])
  } finally {
    over.abort()
  }
}

/** False when it was cut short. */
export function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false)
    const cut = (): void => {
      clearTimeout(timer)
      resolve(false)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', cut)
      resolve(true)
    }, ms)
    signal.addEventListener('abort', cut, { once: true })
  })
}
