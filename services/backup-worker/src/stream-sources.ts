import { setTimeout as sleep } from 'node:timers/promises'
import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'

/** How often it is looked whether a source appeared, or one has no worker. */
const LOOK_EVERY_MS = 5_000
const PAUSES_MS = { retryable: 5_000, person: 60_000 } as const

interface Stream {
  readonly wanted: string
  readonly abort: AbortController
  ended: boolean
}

/** What can be streamed of a source. */
export interface StreamKind {
  /** Another text, another stream: what the configuration says of it. Null: this source is not streamed so. */
  wanted(source: SourceSettings): string | null
  /** The stream of one source, begun again and again: `run` ends by failing, or where another worker has the source. */
  open(
    deps: Deps,
    source: string,
  ): { run(signal: AbortSignal): Promise<void>; failed(error: SalvorError): Promise<void> }
}

/**
 * Streams every source that wants it and that this worker sees, each under its lease: of several workers one has it, and
 * when that one is gone another goes on. Follows the configuration.
 */
export async function streamSources(kind: StreamKind, deps: Deps, signal: AbortSignal): Promise<void> {
  const streams = new Map<string, Stream>()
  const running = new Set<Promise<void>>()
  try {
    while (!signal.aborted) {
      const wanted = sourcesHere(kind, deps)
      for (const [name, stream] of streams) {
        if (wanted.get(name) !== stream.wanted) stream.abort.abort()
        if (stream.ended) streams.delete(name)
      }
      for (const [name, text] of wanted) {
        if (streams.has(name)) continue
        const stream: Stream = { wanted: text, abort: new AbortController(), ended: false }
        streams.set(name, stream)
        const work = keepStreaming(kind, deps, name, AbortSignal.any([signal, stream.abort.signal])).finally(() => {
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

function sourcesHere(kind: StreamKind, deps: Deps): Map<string, string> {
  const { sources, pools = [] } = deps.settings()
  const seen = new Map<string, string>()
  for (const [name, source] of sources) {
    const text = kind.wanted(source)
    if (text !== null && (source.pool === null || pools.includes(source.pool))) seen.set(name, text)
  }
  return seen
}

/** Never rejects. */
async function keepStreaming(kind: StreamKind, deps: Deps, source: string, signal: AbortSignal): Promise<void> {
  const stream = kind.open(deps, source)
  while (!signal.aborted) {
    let pause: number = PAUSES_MS.retryable
    try {
      await stream.run(signal)
    } catch (thrown) {
      if (signal.aborted) return
      const error = asSalvorError(thrown)
      if (!error.retryable) pause = PAUSES_MS.person
      await stream.failed(error)
    }
    await sleep(pause, undefined, { signal }).catch(() => undefined)
  }
}
