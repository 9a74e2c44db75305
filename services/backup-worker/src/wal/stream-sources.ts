import { setTimeout as sleep } from 'node:timers/promises'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import { StreamHealth } from './stream-health.ts'
import { streamSource } from './stream-source.ts'

/** How often it is looked whether a source appeared, or one has no worker. */
const LOOK_EVERY_MS = 5_000
const PAUSES_MS = { retryable: 5_000, person: 60_000 } as const

interface Stream {
  readonly config_hash: string
  readonly abort: AbortController
  ended: boolean
}

/**
 * Streams the WAL of every source that wants it and that this worker sees, each under its lease: of several workers one
 * has it, and when that one is gone another goes on. Follows the configuration.
 */
export async function streamSources(deps: Deps, signal: AbortSignal): Promise<void> {
  const streams = new Map<string, Stream>()
  const running = new Set<Promise<void>>()
  try {
    while (!signal.aborted) {
      const wanted = sourcesHere(deps)
      for (const [name, stream] of streams) {
        if (wanted.get(name)?.config_hash !== stream.config_hash) stream.abort.abort()
        if (stream.ended) streams.delete(name)
      }
      for (const [name, { config_hash }] of wanted) {
        if (streams.has(name)) continue
        const stream: Stream = { config_hash, abort: new AbortController(), ended: false }
        streams.set(name, stream)
        const work = keepStreaming(deps, name, AbortSignal.any([signal, stream.abort.signal])).finally(() => {
          stream.ended = true
          running.delete(work)
        })
        running.add(work)
      }
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
    }
  } finally {
    // Whatever ended this: nothing of it goes on.
    for (const { abort } of streams.values()) abort.abort()
    await Promise.all(running)
  }
}

function sourcesHere(deps: Deps): Map<string, SourceSettings> {
  const { sources, pools = [] } = deps.settings()
  const seen = [...sources].filter(([, { wal, pool }]) => wal !== undefined && (pool === null || pools.includes(pool)))
  return new Map(seen)
}

/** Never rejects. */
async function keepStreaming(deps: Deps, source: string, signal: AbortSignal): Promise<void> {
  const health = new StreamHealth(deps, source)
  while (!signal.aborted) {
    let pause: number = PAUSES_MS.retryable
    try {
      await streamSource(deps, source, health, signal)
    } catch (thrown) {
      if (signal.aborted) return
      const error = asSalvorError(thrown)
      if (!error.retryable) pause = PAUSES_MS.person
      await health.failed(error)
    }
    await sleep(pause, undefined, { signal }).catch(() => undefined)
  }
}
