import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { DigestsBatch, DigestsPart, DigestsWork } from './digests-worker.ts'

const SLOT = 1024 * 1024
/** Slots that may be full before whoever fills them has to wait. */
const MOST_FULL = 4

/** Digests pages in a thread of its own, while the copy goes on. Bytes are copied into slots, and taken in order. */
export class DigestsThread implements AsyncDisposable {
  readonly #worker: Worker
  readonly #ended: Promise<unknown>
  readonly #free: SharedArrayBuffer[] = []
  #slot: SharedArrayBuffer | null = null
  #bytes: Uint8Array = new Uint8Array(0)
  #filled = 0
  #parts: DigestsPart[] = []
  #begins: DigestsPart['begins'] = null
  #full = 0
  #room: PromiseWithResolvers<void> | null = null
  #failure: unknown = null

  constructor(work: DigestsWork) {
    this.#worker = new Worker(new URL('./digests-worker.ts', import.meta.url), { workerData: work })
    this.#worker.on('message', (slot: SharedArrayBuffer) => this.#freed(slot))
    this.#worker.on('error', (error) => this.#failed(error))
    this.#ended = once(this.#worker, 'exit')
    this.#ended.catch(() => undefined)
  }

  file(name: string, pages: number): void {
    this.#begins = { name, pages }
  }

  /** Bytes of the file that began last; whole pages over all calls. */
  data(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const count = this.#copy(bytes.subarray(at))
      const last = this.#parts.at(-1)
      if (this.#begins === null && last) this.#parts[this.#parts.length - 1] = { ...last, bytes: last.bytes + count }
      else this.#parts.push({ begins: this.#begins, bytes: count })
      this.#begins = null
      at += count
      if (this.#filled === SLOT) this.#send(this.#parts)
    }
  }

  manifest(bytes: Uint8Array): void {
    if (this.#parts.length > 0) this.#send(this.#parts)
    for (let at = 0; at < bytes.length;) {
      at += this.#copy(bytes.subarray(at))
      if (this.#filled === SLOT) this.#send(null)
    }
  }

  /** Wait for it before more is given. */
  get room(): Promise<void> | undefined {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    if (this.#full <= MOST_FULL) return undefined
    this.#room ??= Promise.withResolvers()
    return this.#room.promise
  }

  /** Resolves when all is in the file. */
  async finish(): Promise<void> {
    if (this.#filled > 0) this.#send(this.#parts.length > 0 ? this.#parts : null)
    this.#post(null)
    await this.#ended
    if (this.#failure !== null) throw this.#failure
  }

  #copy(bytes: Uint8Array): number {
    if (this.#slot === null) {
      this.#slot = this.#free.pop() ?? new SharedArrayBuffer(SLOT)
      this.#bytes = new Uint8Array(this.#slot)
    }
    const count = Math.min(bytes.length, SLOT - this.#filled)
    this.#bytes.set(bytes.subarray(0, count), this.#filled)
    this.#filled += count
    return count
  }

  #send(files: readonly DigestsPart[] | null): void {
    this.#post({ slot: this.#slot!, length: this.#filled, files })
    this.#full++
    this.#slot = null
    this.#filled = 0
    this.#parts = []
  }

  #post(batch: DigestsBatch): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
    this.#worker.postMessage(batch)
  }

  #freed(slot: SharedArrayBuffer): void {
    this.#free.push(slot)
    this.#full--
    if (this.#full > MOST_FULL) return
    this.#room?.resolve()
    this.#room = null
  }

  #failed(error: unknown): void {
    this.#failure ??= error
    this.#room?.reject(error)
    this.#room = null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }
}
