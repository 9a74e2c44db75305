import { Queue, type BulkJobOptions } from 'bullmq'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { JobName } from '@salvor/shared/messages/jobs'
import type { ServiceName } from '@salvor/shared/vocabulary/service'
import { inboxQueue, jobQueue, messageId } from './names.ts'
import type { RedisLink } from './redis-link.ts'

/** Ids only: everything else is read from the catalog. */
export type Message = { readonly event_id: string } | { readonly run_id: string }

export interface EventMessage {
  readonly event_id: string
  readonly service: ServiceName
  /** Failed deliveries so far: each has a message of its own. */
  readonly failures?: number
  readonly delay_ms?: number
}

export interface RunMessage {
  readonly id: string
  readonly job: JobName
  readonly pool: string | null
  readonly turn: number
  readonly delay_ms: number
}

/** Finished messages stay for a while: they make a second sending of the same turn a no-op, and are what Bull Board shows. */
const KEPT = {
  attempts: 1,
  removeOnComplete: { age: 3600, count: 1000 },
  removeOnFail: { age: 86_400, count: 1000 },
} as const

const SEND_MS = 10_000

const WAITING = new Set(['waiting', 'delayed', 'prioritized', 'waiting-children'])
const FINISHED = new Set(['completed', 'failed'])

type Entry = { readonly name: string; readonly data: Message; readonly opts: BulkJobOptions }

/** Puts messages into queues. Rejects when Redis is away; what was sent twice is there once. */
export class Queues {
  readonly #link: RedisLink
  readonly #prefix: string
  #open = new Map<string, Queue>()

  constructor(link: RedisLink, prefix: string) {
    this.#link = link
    this.#prefix = prefix
    // A queue whose first commands were cut off never recovers: after a loss all are made anew.
    link.onChange((usable) => (usable ? undefined : void this.close()))
  }

  queue(name: string): Queue {
    const open = this.#open.get(name)
    if (open) return open
    const queue = new Queue(name, { connection: this.#link.sending, prefix: this.#prefix, skipVersionCheck: true })
    queue.on('error', () => undefined)
    this.#open.set(name, queue)
    return queue
  }

  /** A queue may wait for ever for a connection that broke at the wrong moment: it is left, and made anew. */
  async #within(work: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new SalvorError('REDIS_UNREACHABLE', { reason: 'no answer' })), SEND_MS)
    })
    try {
      await Promise.race([work, late])
    } catch (error) {
      void this.close()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** `again`: messages that should have arrived long ago; those that still wait are left alone. */
  async sendEvents(messages: readonly EventMessage[], again = false): Promise<void> {
    this.#assertUsable()
    await this.#within(this.#sendEvents(messages, again))
  }

  async sendRuns(messages: readonly RunMessage[]): Promise<void> {
    this.#assertUsable()
    await this.#within(this.#sendRuns(messages))
  }

  async #sendEvents(messages: readonly EventMessage[], again: boolean): Promise<void> {
    for (const [name, sent] of Map.groupBy(messages, ({ service }) => inboxQueue(service))) {
      const queue = this.queue(name)
      const entries = sent.map((message) =>
        entry('event', { event_id: message.event_id }, message.event_id, message.failures ?? 0, message.delay_ms),
      )
      await queue.addBulk(again ? await withoutWaiting(queue, entries) : entries)
    }
  }

  async #sendRuns(messages: readonly RunMessage[]): Promise<void> {
    for (const [name, sent] of Map.groupBy(messages, ({ job, pool }) => jobQueue(job, pool))) {
      const queue = this.queue(name)
      // A run that waited so long that it was counted as lost has a message of its last turn: the new one replaces it.
      const replaced = sent.filter(({ turn }) => turn > 1)
      await Promise.all(replaced.map(({ id, turn }) => removeWaiting(queue, messageId(id, turn - 1))))
      await queue.addBulk(sent.map(({ id, job, turn, delay_ms }) => entry(job, { run_id: id }, id, turn, delay_ms)))
    }
  }

  async close(): Promise<void> {
    const queues = [...this.#open.values()]
    this.#open = new Map()
    await Promise.allSettled(queues.map((queue) => queue.close()))
  }

  #assertUsable(): void {
    if (this.#link.problem) throw this.#link.problem
  }
}

function entry(name: string, data: Message, id: string, turn: number, delay = 0): Entry {
  return {
    name,
    data,
    opts: { ...KEPT, jobId: messageId(id, turn), ...(delay > 0 ? { delay: Math.ceil(delay) } : {}) },
  }
}

/** A message that was finished without effect makes room for the new one. */
async function withoutWaiting(queue: Queue, entries: readonly Entry[]): Promise<Entry[]> {
  const wanted = await Promise.all(
    entries.map(async (one) => {
      const id = one.opts.jobId!
      const state = await queue.getJobState(id)
      if (FINISHED.has(state)) await queue.remove(id)
      return FINISHED.has(state) || state === 'unknown'
    }),
  )
  return entries.filter((_, at) => wanted[at])
}

async function removeWaiting(queue: Queue, id: string): Promise<void> {
  if (WAITING.has(await queue.getJobState(id))) await queue.remove(id)
}
