import { randomInt } from 'node:crypto'
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { S3Client } from '@aws-sdk/client-s3'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { Answer, answerOf, storeError } from './answer.ts'
import { loginOf, type Identity, type S3StoreConfig } from './config.ts'

export interface Patience {
  /** How often one request is tried; a timeout counts twice. */
  readonly attempts: number
  /** The wait before attempt n+1 is random in [0, base x 2^n], at most `capMs`. */
  readonly baseMs: number
  readonly capMs: number
  readonly connectMs: number
  /** Without a byte in either direction. */
  readonly idleMs: number
  /** Keys of one page of a list. */
  readonly pageSize: number
  /** In [0, 1). */
  readonly random: () => number
}

export const PATIENCE: Patience = {
  attempts: 6,
  baseMs: 200,
  capMs: 10_000,
  connectMs: 10_000,
  idleMs: 60_000,
  pageSize: 1_000,
  random: () => randomInt(2 ** 40) / 2 ** 40,
}

/** A request of `size` bytes may take a minute, and longer where the line carries less than 32 KiB/s. */
const SLOWEST_BYTES_PER_MS = 32
const LEAST_MS = 60_000

type Work<T> = (client: S3Client, options: { readonly abortSignal: AbortSignal }) => Promise<T>

/** The clients of one store, one per login, and the only way to send: with deadlines, and again with a fresh body after what passes. */
export class Session {
  readonly store: string
  readonly bucket: string
  readonly config: S3StoreConfig
  readonly patience: Patience
  readonly #clients = new Map<string, S3Client>()
  readonly #handler: NodeHttpHandler

  constructor(store: string, config: S3StoreConfig, patience: Patience) {
    this.store = store
    this.bucket = config.bucket
    this.config = config
    this.patience = patience
    const agent = { keepAlive: true, maxSockets: 32 }
    this.#handler = new NodeHttpHandler({
      connectionTimeout: patience.connectMs,
      socketTimeout: patience.idleMs,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
    })
  }

  /** The key as the bucket has it. */
  full(key: string): string {
    return this.config.prefix === undefined ? key : `${this.config.prefix}/${key}`
  }

  /** Sends until it succeeds, or fails with an Answer. `work` builds its command anew each time. */
  async send<T>(identity: Identity, signal: AbortSignal, work: Work<T>, size = 0): Promise<T> {
    const { attempts } = this.patience
    for (let tries = 1, waits = 0; ; tries++, waits++) {
      throwIfInterrupted(signal)
      const late = new AbortController()
      const timer = setTimeout(() => late.abort(), LEAST_MS + size / SLOWEST_BYTES_PER_MS)
      try {
        return await work(this.#client(identity), { abortSignal: AbortSignal.any([signal, late.signal]) })
      } catch (error) {
        throwIfInterrupted(signal)
        const answer = late.signal.aborted ? new Answer('timeout', 'no end in time', error) : answerOf(error)
        if (answer.outcome === 'timeout') tries++
        if (!answer.passing || tries >= attempts) throw answer
      } finally {
        clearTimeout(timer)
      }
      await this.pause(waits, signal)
    }
  }

  /** Full jitter: many workers that were refused together do not come back together. */
  async pause(nth: number, signal: AbortSignal): Promise<void> {
    const { baseMs, capMs, random } = this.patience
    await sleep(random() * Math.min(capMs, baseMs * 2 ** nth), undefined, { signal }).catch(() =>
      throwIfInterrupted(signal),
    )
  }

  /** Runs a whole call of the port; what the store answered becomes the product's own error. */
  async told<T>(what: string, key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw this.error(what, key, error)
    }
  }

  error(what: string, key: string, error: unknown): unknown {
    return error instanceof Answer ? storeError(this.store, what, key, error) : error
  }

  close(): void {
    for (const client of this.#clients.values()) client.destroy()
    this.#handler.destroy()
  }

  #client(identity: Identity): S3Client {
    const login = loginOf(this.config, identity)
    let client = this.#clients.get(login.accessKeyId)
    if (client === undefined) {
      client = new S3Client({
        region: this.config.region,
        ...(this.config.endpoint ? { endpoint: this.config.endpoint } : {}),
        forcePathStyle: this.config.path_style,
        credentials: login,
        requestHandler: this.#handler,
        // Repetition and checksums are done here; an Expect header would cost a connection per part.
        maxAttempts: 1,
        retryMode: 'standard',
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
        expectContinueHeader: false,
        defaultsMode: 'standard',
        useArnRegion: false,
        useDualstackEndpoint: false,
        useFipsEndpoint: false,
        disableS3ExpressSessionAuth: true,
      })
      this.#clients.set(login.accessKeyId, client)
    }
    return client
  }
}
