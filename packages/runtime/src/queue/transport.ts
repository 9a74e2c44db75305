import type { Queue } from 'bullmq'
import type { Log } from '@salvor/shared/ports/log'
import { keyPrefix } from './names.ts'
import { Probe } from './probe.ts'
import { Queues, type EventMessage, type RunMessage } from './queues.ts'
import { openRedis, type RedisLink } from './redis-link.ts'
import { Workers, type Consumer } from './workers.ts'

/** How messages travel between processes: quick when it works, and never the only way. */
export interface Transport extends AsyncDisposable {
  /** Messages come through now. False: whoever waits for some polls the catalog. */
  readonly healthy: boolean
  /** Connected: worth sending. */
  readonly usable: boolean
  readonly link: RedisLink
  sendEvents(messages: readonly EventMessage[], again?: boolean): Promise<void>
  sendRuns(messages: readonly RunMessage[]): Promise<void>
  /** Begins to take messages. */
  consume(consumers: readonly Consumer[]): void
  /** Takes no further messages. */
  pause(): Promise<void>
  /** Makes the workers anew: something that should have come did not. */
  rebuild(): Promise<void>
  /** A queue by name, for counts and the view for people. */
  queue(name: string): Queue
}

export interface TransportOptions {
  readonly url: string
  readonly catalogId: string
  /** Tells this process from every other one. */
  readonly processName: string
  readonly log: Log
  readonly probeEveryMs?: number
  readonly probeWithinMs?: number
}

/** REDIS_POLICY when the server would evict keys; a server that is away is waited for in the background. */
export async function openTransport(options: TransportOptions): Promise<Transport> {
  const { log } = options
  const prefix = keyPrefix(options.catalogId)
  const link = await openRedis(options.url, log)
  const queues = new Queues(link, prefix)
  let workers: Workers | null = null
  let probe: Probe | null = null
  let refused = false
  /** A server that refuses messages, as one without memory does, is as good as away. */
  const sent = async (work: Promise<void>): Promise<void> => {
    try {
      await work
      refused = false
    } catch (error) {
      refused = true
      throw error
    }
  }
  const rebuild = async (): Promise<void> => {
    await workers?.rebuild()
  }
  return {
    get usable() {
      return link.usable
    },
    get healthy() {
      return link.usable && !refused && (probe?.healthy ?? true)
    },
    link,
    sendEvents: (messages, again) => sent(queues.sendEvents(messages, again)),
    sendRuns: (messages) => sent(queues.sendRuns(messages)),
    consume(consumers) {
      workers = new Workers(link, prefix, consumers, log)
      workers.start()
      probe = new Probe({
        link,
        prefix,
        name: `probe.${options.processName}`,
        log,
        onStuck: () => void rebuild(),
        ...(options.probeEveryMs === undefined ? {} : { everyMs: options.probeEveryMs }),
        ...(options.probeWithinMs === undefined ? {} : { withinMs: options.probeWithinMs }),
      })
    },
    async pause() {
      await workers?.pause()
    },
    rebuild,
    queue: (name) => queues.queue(name),
    async [Symbol.asyncDispose]() {
      await probe?.[Symbol.asyncDispose]()
      await workers?.[Symbol.asyncDispose]()
      await queues.close()
      await link[Symbol.asyncDispose]()
    },
  }
}
