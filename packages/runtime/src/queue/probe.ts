import { Queue, Worker } from 'bullmq'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { Log } from '@salvor/shared/ports/log'
import type { RedisLink } from './redis-link.ts'

export const PROBE_EVERY_MS = 10_000
/** A process whose probe has not come through for so long does not trust its queues. */
export const PROBE_WITHIN_MS = 30_000

/** Names of this process's own probe queue are forgotten by Redis when the process is gone for so long. */
const KEYS_LIVE_S = 86_400

export interface ProbeOptions {
  readonly link: RedisLink
  readonly prefix: string
  /** One per process. */
  readonly name: string
  readonly log: Log
  readonly everyMs?: number
  readonly withinMs?: number
  /** Called when the server can be used and yet no probe came through: workers may hang. */
  readonly onStuck: () => void
}

/** Sends a message to itself again and again, the whole way through the queue: a connection that looks healthy may be dead. */
export class Probe implements AsyncDisposable {
  readonly #options: ProbeOptions
  readonly #withinMs: number
  #parts: { readonly queue: Queue; readonly worker: Worker } | null = null
  #timer: NodeJS.Timeout
  #passed = performance.now()
  #count = 0

  constructor(options: ProbeOptions) {
    this.#options = options
    this.#withinMs = options.withinMs ?? PROBE_WITHIN_MS
    options.link.onChange((usable) => {
      this.#passed = performance.now()
      if (usable) void this.#send()
      else void this.#close()
    })
    this.#timer = setInterval(() => void this.#turn(), options.everyMs ?? PROBE_EVERY_MS)
    void this.#send()
  }

  /** Seconds since a message came through. */
  get silentMs(): number {
    return performance.now() - this.#passed
  }
  get healthy(): boolean {
    return this.silentMs < this.#withinMs
  }

  async #turn(): Promise<void> {
    if (!this.#options.link.usable) return
    if (!this.healthy) {
      this.#options.log.error(
        { silent_ms: Math.round(this.silentMs) },
        'no message comes through the queue: workers are made anew',
      )
      await this.#close()
      this.#options.onStuck()
    }
    await this.#send()
  }

  async #send(): Promise<void> {
    const { link, name, prefix, log } = this.#options
    if (!link.usable) return
    try {
      const { queue } = this.#open()
      await queue.add(
        'probe',
        {},
        { jobId: `probe-${this.#count++}`, attempts: 1, removeOnComplete: true, removeOnFail: true },
      )
      const pipeline = link.sending.pipeline()
      for (const key of ['id', 'meta', 'marker', 'events', 'stalled-check', 'wait', 'active']) {
        pipeline.expire(`${prefix}:${name}:${key}`, KEYS_LIVE_S)
      }
      await pipeline.exec()
    } catch (error) {
      log.debug({ error: asSalvorError(error) }, 'probe not sent')
    }
  }

  #open(): { readonly queue: Queue; readonly worker: Worker } {
    if (this.#parts) return this.#parts
    const { link, prefix, name } = this.#options
    const shared = { prefix, skipVersionCheck: true }
    const queue = new Queue(name, { ...shared, connection: link.sending, streams: { events: { maxLen: 10 } } })
    const passed = async (): Promise<void> => void (this.#passed = performance.now())
    const worker = new Worker(name, passed, { ...shared, connection: link.working, runRetryDelay: 1000 })
    queue.on('error', () => undefined)
    worker.on('error', () => undefined)
    return (this.#parts = { queue, worker })
  }

  async #close(): Promise<void> {
    const parts = this.#parts
    this.#parts = null
    if (parts) await Promise.allSettled([parts.worker.close(true), parts.queue.close()])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    const { link, prefix, name } = this.#options
    await this.#close()
    if (!link.usable) return
    const keys = ['id', 'meta', 'marker', 'events', 'stalled-check', 'wait', 'active'].map(
      (key) => `${prefix}:${name}:${key}`,
    )
    await link.sending.del(...keys).catch(() => 0)
  }
}
