import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Journal, type SummedFile } from './journal.ts'
import { crcOfZeros } from './zeros.ts'

/** A file that lies elsewhere until all others are in place. */
export interface Aside {
  readonly name: string
  readonly path: Buffer
}

interface Reading {
  readonly worker: Worker
  readonly ended: Promise<unknown>
}

/** Tells of the files that were written, in order. Those that were not summed meanwhile are read back in a thread, which starts with the first one. */
export class ReadBack implements AsyncDisposable {
  readonly journal: string
  readonly #setup: { readonly root: Buffer; readonly journal: string; readonly aside: Aside | null }
  /** Until the thread has it. */
  #own: Journal | null
  #reading: Reading | null = null

  constructor(root: string, journal: string, aside: Aside | null = null) {
    this.journal = journal
    this.#setup = { root: Buffer.from(`${root}/`, 'utf8'), journal, aside }
    this.#own = new Journal(journal, false)
  }

  /** `name` is a byte string below the root, and its file is whole. */
  add(name: string): void {
    this.#reading ??= this.#read()
    tell(this.#reading, name)
  }

  /** A file of zeros: it is not read. */
  zeros(name: string, size: number): void {
    this.known([[name, size, crcOfZeros(size)]])
  }

  /** Files that were summed before. */
  known(files: readonly SummedFile[]): void {
    if (this.#reading) tell(this.#reading, files)
    else for (const file of files) this.#own!.add(file)
  }

  /** Resolves when every line is in the journal; rejects when a file could not be read. */
  async finish(): Promise<void> {
    this.#endOwn()
    if (!this.#reading) return
    tell(this.#reading, null)
    await this.#reading.ended
  }

  #read(): Reading {
    this.#endOwn()
    const worker = new Worker(new URL('./checksum-worker.ts', import.meta.url), { workerData: this.#setup })
    const ended = once(worker, 'exit')
    ended.catch(() => undefined)
    return { worker, ended }
  }

  #endOwn(): void {
    this.#own?.end()
    this.#own = null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#own?.close()
    this.#own = null
    await this.#reading?.worker.terminate()
  }
}

function tell({ worker }: Reading, message: string | readonly SummedFile[] | null): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  worker.postMessage(message)
}
