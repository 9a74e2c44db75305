import type { Readable } from 'node:stream'
import type { BlobDownloadResponseParsed } from '@azure/storage-blob'

/** The bytes of one answer, with a deadline between its pieces. Disposing hangs up. */
export class Body implements Disposable {
  /** Of the whole object, whatever part was asked for. */
  readonly size: number
  readonly etag: string | null
  readonly #stream: Readable | null
  readonly #idleMs: number
  readonly #stop: AbortSignal
  readonly #idle = new AbortController()

  constructor(answer: BlobDownloadResponseParsed, at: number, idleMs: number, signal: AbortSignal) {
    // `bytes 5-9/20`; without a range the length is that of the whole.
    const total = /\/(\d+)$/.exec(answer.contentRange ?? '')?.[1]
    this.size = total === undefined ? at + (answer.contentLength ?? 0) : Number(total)
    this.etag = answer.etag ?? null
    this.#stream = (answer.readableStreamBody as Readable | undefined) ?? null
    this.#idleMs = idleMs
    this.#stop = AbortSignal.any([signal, this.#idle.signal])
    this.#stop.addEventListener('abort', this.#hangUp)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    if (this.#stream === null) return
    let timer = this.#startTimer()
    try {
      for await (const chunk of this.#stream) {
        clearTimeout(timer)
        yield chunk as Buffer
        timer = this.#startTimer()
      }
    } finally {
      clearTimeout(timer)
    }
  }

  [Symbol.dispose](): void {
    this.#stop.removeEventListener('abort', this.#hangUp)
    this.#stream?.destroy()
  }

  #startTimer(): NodeJS.Timeout {
    return setTimeout(() => this.#idle.abort(), this.#idleMs)
  }

  readonly #hangUp = (): void => void this.#stream?.destroy(new Error('no bytes in time'))
}
