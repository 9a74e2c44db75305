import { Worker } from 'node:worker_threads'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { HashRange, HashReply, HashWork } from './hash-messages.ts'

const RANGE_BYTES = 8 << 20

export interface PagesToHash extends HashWork {
  readonly page_count: number
  readonly threads: number
  /** For errors. */
  readonly source: string
}

/**
 * Digests of all pages in order, a range at a time, made by several threads. The file may be read by others meanwhile. No thread touches it once this has ended, however it ends. SOURCE_CHANGED, SOURCE_UNREADABLE.
 */
export async function* hashPages(pages: PagesToHash): AsyncGenerator<Uint8Array> {
  const { page_size, page_count, threads: count, source, ...work } = pages
  const threads = Array.from({ length: count }, () => new HashThread({ ...work, page_size }))
  try {
    const ranges = rangesOf(page_size * page_count, page_size)
    const under_way: Promise<HashReply>[] = []
    let next = 0
    const submit = (): void => {
      const range = ranges.next()
      if (!range.done) under_way.push(threads[next++ % count]!.ask(range.value))
    }
    // Two for each thread: one at work, one waiting. A thread answers in the order it was asked.
    for (let i = 0; i < 2 * count; i += 1) submit()
    while (under_way.length > 0) {
      const { digests, failure } = await under_way.shift()!
      if (failure === 'SHORT') throw new SalvorError('SOURCE_CHANGED', { source })
      if (failure !== null) throw new SalvorError('SOURCE_UNREADABLE', { source, what: 'the file', reason: failure })
      submit()
      yield digests
    }
  } finally {
    await Promise.all(threads.map((thread) => thread.end()))
  }
}

function* rangesOf(size: number, pageSize: number): Generator<HashRange> {
  const step = Math.max(1, Math.floor(RANGE_BYTES / pageSize)) * pageSize
  for (let offset = 0; offset < size; offset += step) yield { offset, length: Math.min(step, size - offset) }
}

/** One thread, and who waits for its answers: it gives them in the order it was asked. */
class HashThread {
  readonly #worker: Worker
  readonly #waiting: PromiseWithResolvers<HashReply>[] = []

  constructor(work: HashWork) {
    const url = new URL('./hash-worker.ts', import.meta.url)
    const resourceLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 32 }
    const execArgv = url.pathname.endsWith('.ts') ? ['--conditions=source'] : []
    this.#worker = new Worker(url, { workerData: work, execArgv, env: {}, name: 'salvor-digests', resourceLimits })
    this.#worker.on('message', (reply: HashReply) => this.#waiting.shift()?.resolve(reply))
    this.#worker.on('error', (error) => this.#fail('an error', error))
    this.#worker.on('exit', (code) => this.#fail(`exit ${code}`))
  }

  ask(range: HashRange): Promise<HashReply> {
    const answer = Promise.withResolvers<HashReply>()
    // Whoever stops early does not come for it.
    answer.promise.catch(() => undefined)
    this.#waiting.push(answer)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(range)
    return answer.promise
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #fail(how: string, cause?: unknown): void {
    const error = new SalvorError('TASK_DIED', { task: 'a hashing thread', how }, cause)
    for (const answer of this.#waiting.splice(0)) answer.reject(error)
  }
}
