import { Worker } from 'node:worker_threads'
import type { Answer, Posted, Reply, Request } from './messages.ts'

/** What SQLite, or the thread that drives it, answered. `code` is SQLite's own name for it, `SQLITE_FULL`. */
export class EmbeddedError extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.name = 'EmbeddedError'
    this.code = code
  }
}

interface Waiting {
  resolve(answer: Answer): void
  reject(error: EmbeddedError): void
}

/** The one thread of this process that touches the database. It keeps the process alive only while it owes an answer. */
export class ThreadClient {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #last = 0
  #ended: EmbeddedError | null = null

  constructor() {
    this.#worker = new Worker(new URL('./thread.ts', import.meta.url), {
      name: 'salvor-catalog',
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 4 },
    })
    this.#worker.on('message', (reply: Reply) => this.#settle(reply))
    this.#worker.on('error', (error) => this.#end(`its thread failed: ${error.message}`))
    this.#worker.on('exit', () => this.#end('its thread has ended'))
    this.#worker.unref()
  }

  ask(request: Request): Promise<Answer> {
    if (this.#ended) return Promise.reject(this.#ended)
    const id = ++this.#last
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.#waiting.set(id, { resolve, reject })
    this.#worker.ref()
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage({ id, request } satisfies Posted)
    return promise
  }

  async close(): Promise<void> {
    if (this.#ended) return
    await this.ask({ op: 'close' })
    await this.#worker.terminate()
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if (this.#waiting.size === 0) this.#worker.unref()
    if ('answer' in reply) waiting?.resolve(reply.answer)
    else waiting?.reject(new EmbeddedError(reply.error.code, reply.error.message))
  }

  #end(reason: string): void {
    this.#ended ??= new EmbeddedError('SALVOR_THREAD', reason)
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended)
    this.#waiting.clear()
  }
}
