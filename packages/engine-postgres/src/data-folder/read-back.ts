import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { crcOfZeros } from './zeros.ts'

/** A file that lies elsewhere until all others are in place. */
export interface Aside {
  readonly name: string
  readonly path: Buffer
}

/** A line of the journal: name, size, CRC-32C as hex. */
export type SummedFile = readonly [name: string, size: number, crc: string]

/** Reads files back and sums them in a thread of its own, while the next ones are written. */
export class ReadBack implements AsyncDisposable {
  readonly journal: string
  readonly #worker: Worker
  readonly #ended: Promise<unknown>

  constructor(root: string, journal: string, aside: Aside | null = null) {
    this.journal = journal
    this.#worker = new Worker(new URL('./checksum-worker.ts', import.meta.url), {
      workerData: { root: Buffer.from(`${root}/`, 'utf8'), journal, aside },
    })
    this.#ended = once(this.#worker, 'exit')
    this.#ended.catch(() => undefined)
  }

  /** `name` is a byte string below the root, and its file is whole. */
  add(name: string): void {
    this.#tell(name)
  }

  /** A file of zeros: it is not read. */
  zeros(name: string, size: number): void {
    this.known([[name, size, crcOfZeros(size)]])
  }

  /** Files that were summed before. */
  known(files: readonly SummedFile[]): void {
    this.#tell(files)
  }

  /** Resolves when every line is in the journal; rejects when a file could not be read. */
  async finish(): Promise<void> {
    this.#tell(null)
    await this.#ended
  }

  #tell(message: string | readonly SummedFile[] | null): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(message)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }
}
