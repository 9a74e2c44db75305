import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** Reads files back and sums them in a thread of its own, while the next ones are written. */
export class ReadBack implements AsyncDisposable {
  readonly journal: string
  readonly #worker: Worker
  readonly #ended: Promise<unknown>

  constructor(root: string, journal: string) {
    this.journal = journal
    this.#worker = new Worker(new URL('./checksum-worker.ts', import.meta.url), {
      workerData: { root: Buffer.from(`${root}/`, 'utf8'), journal },
    })
    this.#ended = once(this.#worker, 'exit')
    this.#ended.catch(() => undefined)
  }

  /** `name` is a byte string below the root, and its file is whole. */
  add(name: string): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(name)
  }

  /** Resolves when every line is in the journal; rejects when a file could not be read. */
  async finish(): Promise<void> {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(null)
    await this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }
}
