import { FramePool } from './frame-pool.ts'
import { FRAME_BYTES } from './frames.ts'
import type { Manifest } from './manifest.ts'

/** Threads for one pass over an artifact, and the key that it is opened with. */
export interface LentDecoders {
  readonly pool: FramePool
  /**
   * Once, when no job is under way. `good`: every slot was released, so others may have the threads. `linger_ms`: they are wanted
   * again within this time.
   */
  giveBack(good: boolean, linger_ms?: number): Promise<void>
}

interface IdlePool {
  readonly pool: FramePool
  readonly kind: string
  readonly end: NodeJS.Timeout
}

/**
 * Decoding threads that serve one pass after another: to start them costs more than to read a small artifact, and a chain has dozens. They
 * end when nobody wanted them for `linger_ms`, so that what comes after the reading has their memory.
 */
export class Decoders implements AsyncDisposable {
  readonly #threads: number
  readonly #linger_ms: number
  #idle: IdlePool | null = null

  constructor(threads: number, linger_ms: number) {
    this.#threads = threads
    this.#linger_ms = linger_ms
  }

  /** Starts threads for artifacts as they are written by default: they come up while whoever reads is still busy otherwise. */
  startAhead(linger_ms: number): void {
    const compression = { algorithm: 'zstd', level: 1 } as const
    const pool = FramePool.open({ threads: this.#threads, compression, frameBytes: FRAME_BYTES })
    this.#keep({ pool, kind: kindOf(compression.algorithm, FRAME_BYTES) }, linger_ms)
  }

  async lend(manifest: Manifest, dataKey: Uint8Array | null): Promise<LentDecoders> {
    const { compression, frame_bytes: frameBytes } = manifest
    const kind = kindOf(compression.algorithm, frameBytes)
    const idle = this.#takeIdle()
    if (idle && idle.kind !== kind) await idle.pool[Symbol.asyncDispose]()
    const pool = idle?.kind === kind ? idle.pool : FramePool.open({ threads: this.#threads, compression, frameBytes })
    if (dataKey) pool.memory.key.set(dataKey)
    return { pool, giveBack: (good, linger_ms) => this.#take({ pool, kind }, good, linger_ms) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#takeIdle()?.pool[Symbol.asyncDispose]()
  }

  async #take(
    { pool, kind }: Pick<IdlePool, 'pool' | 'kind'>,
    good: boolean,
    linger_ms = this.#linger_ms,
  ): Promise<void> {
    pool.memory.key.fill(0)
    if (!good || this.#idle || linger_ms === 0) return pool[Symbol.asyncDispose]()
    this.#keep({ pool, kind }, linger_ms)
  }

  #keep(kept: Pick<IdlePool, 'pool' | 'kind'>, linger_ms: number): void {
    const end = setTimeout(() => void this[Symbol.asyncDispose](), linger_ms)
    this.#idle = { ...kept, end: end.unref() }
  }

  #takeIdle(): IdlePool | null {
    const idle = this.#idle
    this.#idle = null
    clearTimeout(idle?.end)
    return idle
  }
}

const kindOf = (algorithm: string, frameBytes: number): string => `${algorithm} ${frameBytes}`
