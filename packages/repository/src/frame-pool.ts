import { Worker } from 'node:worker_threads'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { CompressionChoice } from '@salvor/shared/vocabulary/source'
import { FrameMemory, type FrameJob, type FrameReply, type JobFailure, type WorkerReady } from './frame-jobs.ts'
import { storedBound } from './frames.ts'

/** A job that did not succeed, for the caller to name in its own words. */
export class FrameFailure extends Error {
  readonly kind: JobFailure

  constructor(kind: JobFailure, detail: string) {
    super(detail)
    this.kind = kind
  }
}

interface Pending {
  readonly resolve: (length: number) => void
  readonly reject: (error: Error) => void
}

interface FrameThread {
  readonly thread: Worker
  load: number
}

export interface FramePoolOptions {
  readonly threads: number
  readonly compression: CompressionChoice
  readonly frameBytes: number
}

/**
 * Compression threads over a ring of shared slots. A slot is the unit of memory and of backpressure: acquire one, fill
 * its input, run a job on it, use its output, release it. Disposing ends every thread before it resolves.
 */
export class FramePool implements AsyncDisposable {
  readonly memory: FrameMemory
  readonly slots: number
  readonly #workers: FrameThread[] = []
  readonly #free: number[]
  readonly #waiting: { readonly resolve: (slot: number) => void; readonly reject: (error: Error) => void }[] = []
  readonly #pending = new Map<number, Pending>()
  #broken: Error | null = null
  #closed: Promise<unknown> | null = null

  private constructor(options: FramePoolOptions) {
    this.slots = 3 * options.threads + 2
    this.memory = FrameMemory.allocate(this.slots, storedBound(options.frameBytes))
    this.#free = Array.from({ length: this.slots }, (_, slot) => slot)
  }

  /**
   * Starts the threads, and does not wait for them: slots can be filled and jobs given meanwhile. A thread tests its codec before its
   * first job; one that fails, or cannot start, ends the pool: COMPRESSION_BROKEN, TASK_DIED.
   */
  static open(options: FramePoolOptions): FramePool {
    const threads = Math.min(64, Math.max(1, Math.floor(options.threads)))
    const pool = new FramePool({ ...options, threads })
    for (let n = 0; n < threads; n++) pool.#start(options.compression)
    return pool
  }

  /** A free slot, or null: then `acquire` waits for one. */
  tryAcquire(): number | null {
    this.#assertOpen()
    return this.#free.pop() ?? null
  }
  async acquire(): Promise<number> {
    const slot = this.tryAcquire()
    if (slot !== null) return slot
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }
  release(slot: number): void {
    const next = this.#waiting.shift()
    if (next) next.resolve(slot)
    else this.#free.push(slot)
  }

  /** Runs a job on its slot; gives the length of the result. Rejects with FrameFailure, or what ended the pool. */
  run(job: FrameJob): Promise<number> {
    this.#assertOpen()
    const worker = this.#workerFor(job)
    worker.load++
    const result = new Promise<number>((resolve, reject) => this.#pending.set(job.slot, { resolve, reject }))
    // A job that fails while its owner waits for an earlier one is not unhandled: the owner comes to it.
    result.catch(() => undefined)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    worker.thread.postMessage(job)
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#broken ??= new SalvorError('INTERRUPTED')
    this.#closed ??= Promise.all(this.#workers.map(({ thread }) => thread.terminate()))
    await this.#closed
    this.memory.key.fill(0)
    this.#rejectAll(this.#broken)
  }

  /** The first thread seals, so of two with as much to do the other one gets what any could do. */
  #workerFor({ kind }: FrameJob): FrameThread {
    if (kind === 'seal' || kind === 'close') return this.#workers[0]!
    return this.#workers.reduce((least, other) => (other.load <= least.load ? other : least))
  }

  #assertOpen(): void {
    if (this.#broken) throw this.#broken
  }

  #start(compression: CompressionChoice): void {
    const thread = new Worker(new URL('./frame-worker.ts', import.meta.url), {
      workerData: { memory: this.memory.shared, slotBytes: this.memory.slotBytes, compression },
      execArgv: [],
      env: {},
      name: 'salvor-frames',
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
    })
    const worker = { thread, load: 0 }
    this.#workers.push(worker)
    const died = (how: string, cause?: unknown) =>
      this.#break(new SalvorError('TASK_DIED', { task: 'a compression thread', how }, cause))
    thread.on('error', (error) => died('an error', error))
    thread.on('exit', (code) => died(`exit ${code}`))
    thread.once('message', (ready: WorkerReady) => {
      if (!ready.codecWorks) return this.#break(new SalvorError('COMPRESSION_BROKEN'))
      thread.on('message', (reply: FrameReply) => this.#settle(worker, reply))
    })
  }

  #settle(worker: FrameThread, { slot, length, failure }: FrameReply): void {
    worker.load--
    const pending = this.#pending.get(slot)
    this.#pending.delete(slot)
    if (failure) pending?.reject(new FrameFailure(failure.kind, failure.detail))
    else pending?.resolve(length)
  }

  #break(error: Error): void {
    this.#broken ??= error
    this.#rejectAll(this.#broken)
  }
  #rejectAll(error: Error): void {
    for (const { reject } of [...this.#waiting.splice(0), ...this.#pending.values()]) reject(error)
    this.#pending.clear()
  }
}
