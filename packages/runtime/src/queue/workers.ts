import { UnrecoverableError, WaitingError, Worker, type Processor } from 'bullmq'
import { z } from 'zod'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { Log } from '@salvor/shared/ports/log'
import type { Message } from './queues.ts'
import type { RedisLink } from './redis-link.ts'

/** One queue that this process works on. */
export interface Consumer {
  readonly queue: string
  readonly concurrency: number
  /** Never rejects. `refused`: this process takes nothing any more, so another is to have the message. */
  readonly take: (message: Message) => Promise<'taken' | 'refused'>
}

/** Set on purpose: a message whose process died is given to another within half a minute. A repetition is harmless: the catalog decides. */
const TIMING = {
  lockDuration: 15_000,
  stalledInterval: 15_000,
  maxStalledCount: 1,
  drainDelay: 5,
  runRetryDelay: 1000,
} as const

const MessageData = z.union([z.strictObject({ run_id: z.uuid() }), z.strictObject({ event_id: z.uuid() })])

/** Closing waits for messages at hand; a worker whose server is away has none to wait for. */
const CLOSE_MS = 3000

/** The workers of a process: they come back by themselves after a loss of Redis, and can be made anew when they do not. */
export class Workers implements AsyncDisposable {
  readonly #link: RedisLink
  readonly #prefix: string
  readonly #consumers: readonly Consumer[]
  readonly #log: Log
  #workers: Worker[] = []
  #ended = false

  constructor(link: RedisLink, prefix: string, consumers: readonly Consumer[], log: Log) {
    this.#link = link
    this.#prefix = prefix
    this.#consumers = consumers
    this.#log = log
    // A worker whose blocking call was cut off may wait for ever on a connection that stands again.
    link.onChange((usable) => {
      if (usable && this.#workers.length > 0) void this.rebuild()
    })
  }

  start(): void {
    if (this.#ended || this.#workers.length > 0) return
    this.#workers = this.#consumers.map((consumer) => this.#work(consumer))
  }

  /** Takes no further messages; those at hand go on. */
  async pause(): Promise<void> {
    this.#ended = true
    await Promise.allSettled(this.#workers.map((worker) => soon(worker.pause(true))))
  }

  /** Makes all workers anew; messages at hand go on, and their end is in the catalog. */
  async rebuild(): Promise<void> {
    const old = this.#workers
    this.#workers = []
    this.start()
    await closeAll(old, true)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true
    const old = this.#workers
    this.#workers = []
    await closeAll(old, !this.#link.usable)
  }

  #work({ queue, concurrency, take }: Consumer): Worker {
    const options = {
      connection: this.#link.working,
      prefix: this.#prefix,
      concurrency,
      skipVersionCheck: true,
      ...TIMING,
    }
    const process: Processor = async (job, token) => {
      if ((await take(this.#parse(queue, job.id, job.data))) === 'taken') return
      await job.moveToWait(token)
      throw new WaitingError()
    }
    const worker = new Worker(queue, process, options)
    worker.on('error', (error) => this.#log.debug({ queue, error: asSalvorError(error) }, 'queue worker'))
    return worker
  }

  /** A message that Salvor would not have written is left in the queue's failed set; it says nothing about any run. */
  #parse(queue: string, id: string | undefined, data: unknown): Message {
    const message = MessageData.safeParse(data)
    if (message.success) return message.data
    this.#log.error({ queue, message_id: id?.slice(0, 100) }, 'message is not one of ours: parked')
    throw new UnrecoverableError('MESSAGE_INVALID')
  }
}

async function closeAll(workers: readonly Worker[], force: boolean): Promise<void> {
  await Promise.allSettled(workers.map((worker) => soon(worker.close(force))))
}

async function soon(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_MS)))
  await Promise.race([work.then(() => undefined), late])
  clearTimeout(timer)
}
