import { Redis, type RedisOptions } from 'ioredis'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Log } from '@salvor/shared/ports/log'

const CONNECT_MS = 3000
const CHECK_EVERY_MS = 60_000
const CHECK_AGAIN_MS = 1000
/** Above this share of maxmemory an operator should know. */
const MEMORY_WARNING = 0.7

/** The connections of a process to Redis, and whether it can be used now. */
export interface RedisLink extends AsyncDisposable {
  /** For sending: a command fails soon instead of waiting for a server that is away. */
  readonly sending: Redis
  /** For workers, which copy it: waits for the server to come back. */
  readonly working: Redis
  /** Connected, and the server evicts nothing. */
  readonly usable: boolean
  /** REDIS_UNREACHABLE or REDIS_POLICY; null while usable. */
  readonly problem: SalvorError | null
  /** Used share of maxmemory; null without a limit. */
  readonly memoryRatio: number | null
  /** Called on each change of `usable`. */
  onChange(listener: (usable: boolean) => void): void
  /** Asks the server for its eviction policy now. */
  check(): Promise<void>
}

/**
 * Connects. A server that is away is no reason not to start: the link becomes usable when it comes back. One that evicts
 * keys is: REDIS_POLICY.
 */
export async function openRedis(url: string, log: Log): Promise<RedisLink> {
  const link = new Link(url, log)
  try {
    await link.start()
  } catch (error) {
    await link[Symbol.asyncDispose]()
    throw error
  }
  return link
}

const retryStrategy = (times: number): number => Math.min(100 * times, 1000)
const SHARED = {
  lazyConnect: true,
  connectTimeout: CONNECT_MS,
  keepAlive: 10_000,
  retryStrategy,
} satisfies RedisOptions

class Link implements RedisLink {
  readonly sending: Redis
  readonly working: Redis
  problem: SalvorError | null = new SalvorError('REDIS_UNREACHABLE', { reason: 'not connected yet' })
  memoryRatio: number | null = null
  readonly #log: Log
  readonly #listeners: ((usable: boolean) => void)[] = []
  #timer: NodeJS.Timeout | undefined
  #soon: NodeJS.Timeout | undefined
  #lastError = 'the connection was closed'
  #closed = false

  constructor(url: string, log: Log) {
    this.#log = log
    this.sending = new Redis(url, {
      ...SHARED,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 1,
      commandTimeout: 5000,
    })
    this.working = new Redis(url, { ...SHARED, maxRetriesPerRequest: null, commandTimeout: 30_000 })
  }
  get usable(): boolean {
    return this.problem === null
  }
  onChange(listener: (usable: boolean) => void): void {
    this.#listeners.push(listener)
  }

  async start(): Promise<void> {
    for (const client of [this.sending, this.working]) {
      client.on('error', (error: Error) => (this.#lastError = reasonOf(error)))
    }
    this.sending.on('close', () => this.#lost())
    // Without retries during the first attempt the caller would wait for a server that is away.
    const first = this.sending.connect().then(() => this.check())
    this.working.connect().catch(() => undefined)
    await first.catch((error: unknown) => {
      if (asSalvorError(error).code === 'REDIS_POLICY') throw error
      this.#lost()
    })
    this.sending.on('ready', () => void this.check().catch(() => undefined))
    this.#timer = setInterval(() => void this.check().catch(() => undefined), CHECK_EVERY_MS)
  }

  async check(): Promise<void> {
    if (this.#closed) return
    try {
      const facts = await this.sending.info('memory')
      const policy = field(facts, 'maxmemory_policy')
      const limit = Number(field(facts, 'maxmemory') ?? 0)
      this.memoryRatio = limit > 0 ? Number(field(facts, 'used_memory') ?? 0) / limit : null
      if (this.memoryRatio !== null && this.memoryRatio > MEMORY_WARNING) {
        this.#log.warn({ memory_ratio: this.memoryRatio }, 'Redis is running out of memory')
      }
      if (policy !== 'noeviction') throw new SalvorError('REDIS_POLICY', { policy: policy ?? 'unknown' })
      this.#become(null)
    } catch (thrown) {
      const known =
        thrown instanceof SalvorError
          ? thrown
          : new SalvorError('REDIS_UNREACHABLE', { reason: reasonOf(thrown) }, thrown)
      this.#become(known)
      this.#checkSoon()
      throw known
    }
  }

  /** A check that failed over a connection that stands, as after a long sleep, is repeated. */
  #checkSoon(): void {
    if (this.#closed || this.sending.status !== 'ready') return
    clearTimeout(this.#soon)
    this.#soon = setTimeout(() => void this.check().catch(() => undefined), CHECK_AGAIN_MS)
  }

  #lost(): void {
    this.#become(new SalvorError('REDIS_UNREACHABLE', { reason: this.#lastError }))
  }
  #become(problem: SalvorError | null): void {
    if (this.#closed) return
    const before = this.problem
    this.problem = problem
    if (before?.code === problem?.code) return
    if (problem) this.#log.warn({ error: problem }, 'Redis cannot be used: this process polls the catalog instead')
    else this.#log.info({}, 'Redis is there')
    if ((before === null) !== (problem === null)) for (const listener of this.#listeners) listener(problem === null)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    clearTimeout(this.#soon)
    this.sending.disconnect()
    this.working.disconnect()
  }
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]
}

/** An error's own words, without the address, which may hold a password. */
function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  return code ?? /^[A-Z]{3,}/.exec(message ?? '')?.[0] ?? 'the connection broke'
}
