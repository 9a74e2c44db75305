import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { BlobServiceClient, type BlockBlobClient, type ContainerClient } from '@azure/storage-blob'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { loginOf, type AzureStoreConfig, type Identity, type Login } from './config.ts'
import { ServiceError } from './errors.ts'

export interface Timing {
  /** For an answer to a small request. */
  readonly answerMs: number
  /** For a block to go up: 16 MiB at 55 kB/s. */
  readonly blockMs: number
  /** Between two pieces of a body that comes down. */
  readonly idleMs: number
  /** Tries of one request, the first included. */
  readonly tries: number
  /** Before the second try; doubled each time, at most a minute. */
  readonly backoffMs: number
}
export const TIMING: Timing = { answerMs: 60_000, blockMs: 300_000, idleMs: 60_000, tries: 5, backoffMs: 400 }

const LONGEST_WAIT_MS = 60_000

/** A container with a prefix, and how requests to it are made: each with a deadline, repeated by us and not by the SDK. */
export class AzurePlace {
  readonly store: string
  /** Empty, or ending in `/`. */
  readonly prefix: string
  readonly tier: AzureStoreConfig['tier']
  readonly timing: Timing
  readonly #containers: Readonly<Record<Identity, ContainerClient>>

  constructor(store: string, config: AzureStoreConfig, timing: Timing) {
    this.store = store
    const open = (identity: Identity) => serviceOf(loginOf(config, identity)).getContainerClient(config.container)
    this.#containers = { write: open('write'), read: open('read'), delete: open('delete') }
    this.prefix = config.prefix === undefined ? '' : `${config.prefix}/`
    this.tier = config.tier
    this.timing = timing
  }

  /** By whom: what is written is looked at by the reader, who also sees what is staged; the deleter does nothing else. */
  blob(key: string, identity: Identity): BlockBlobClient {
    return this.container(identity).getBlockBlobClient(this.prefix + key)
  }
  container(identity: Identity): ContainerClient {
    return this.#containers[identity]
  }

  /**
   * Does `work` until it succeeds, is refused for good, or has been tried often enough. `work` must be fit for repetition,
   * also after an attempt that succeeded without our hearing of it. Ends with a ServiceError, or INTERRUPTED.
   */
  async request<T>(
    signal: AbortSignal,
    work: (abortSignal: AbortSignal) => Promise<T>,
    deadlineMs = this.timing.answerMs,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      throwIfInterrupted(signal)
      // Lifted with the answer: a body that follows may take hours.
      const late = new AbortController()
      const deadline = setTimeout(() => late.abort(), deadlineMs)
      try {
        return await work(AbortSignal.any([signal, late.signal]))
      } catch (thrown) {
        clearTimeout(deadline)
        await this.pause(thrown, attempt, signal)
      } finally {
        clearTimeout(deadline)
      }
    }
  }

  /** Waits before another attempt, or throws what says that there shall be none. */
  async pause(thrown: unknown, attempt: number, signal: AbortSignal): Promise<void> {
    throwIfInterrupted(signal)
    const error = thrown instanceof ServiceError ? thrown : new ServiceError(thrown)
    if (!error.mayPass || attempt >= this.timing.tries) throw error
    const backoff = Math.min(this.timing.backoffMs * 2 ** (attempt - 1), LONGEST_WAIT_MS)
    const asked = Math.min(error.waitMs, LONGEST_WAIT_MS)
    await sleep(asked + backoff * spread(`${this.store}/${error.message}/${attempt}`), undefined, { signal }).catch(
      () => undefined,
    )
    throwIfInterrupted(signal)
  }
}

function serviceOf({ connection_string, account_url, sas }: Login): BlobServiceClient {
  const options = { retryOptions: { maxTries: 1 } }
  if (connection_string !== undefined) return BlobServiceClient.fromConnectionString(connection_string, options)
  return new BlobServiceClient(`${account_url!.replace(/\/+$/, '')}?${sas!.replace(/^\?/, '')}`, undefined, options)
}

/** In [0.5, 1): sets apart those who would otherwise all come back at the same moment (request ids differ). */
function spread(text: string): number {
  return 0.5 + createHash('sha256').update(text).digest().readUInt16BE() / 131_072
}
