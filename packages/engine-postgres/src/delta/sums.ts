import { Worker } from 'node:worker_threads'
import type { SummedFile } from '../data-folder/journal.ts'

const THREADS = 2

/** Compares files of a folder with sizes and sums, in threads of its own. */
export class Sums implements AsyncDisposable {
  readonly #workers: Summing[]
  readonly threads = THREADS

  constructor(root: string) {
    this.#workers = Array.from({ length: THREADS }, () => new Summing(root))
  }

  /** Of each file: whether it is there as it shall be. */
  check(batch: readonly SummedFile[]): Promise<readonly boolean[]> {
    return this.#workers.reduce((least, other) => (other.load < least.load ? other : least)).check(batch)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.end()))
  }
}

class Summing {
  readonly #thread: Worker
  readonly #waiting: PromiseWithResolvers<readonly boolean[]>[] = []

  constructor(root: string) {
    this.#thread = new Worker(new URL('./sum-worker.ts', import.meta.url), {
      workerData: { root: Buffer.from(`${root}/`, 'utf8') },
    })
    this.#thread.on('message', (answer: readonly boolean[]) => this.#waiting.shift()?.resolve(answer))
    this.#thread.on('error', (error) => this.#waiting.splice(0).forEach(({ reject }) => reject(error)))
  }

  get load(): number {
    return this.#waiting.length
  }

  async check(batch: readonly SummedFile[]): Promise<readonly boolean[]> {
    const answer = Promise.withResolvers<readonly boolean[]>()
    this.#waiting.push(answer)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#thread.postMessage(batch)
    return await answer.promise
  }

  async end(): Promise<void> {
    await this.#thread.terminate()
  }
}
