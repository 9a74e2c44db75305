import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent, SkippableBytes } from '@salvor/shared/ports/artifact'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { Signer } from './canonical-json.ts'
import { Decoders } from './decoders.ts'
import { FrameFailure, type FramePool } from './frame-pool.ts'
import type { Manifest } from './manifest.ts'
import {
  artifactKeyOf,
  type CopyAddress,
  corrupt,
  openDataKey,
  readArtifactIndex,
  readManifest,
  statArtifact,
} from './open-backup.ts'
import { FramesAhead } from './frames-ahead.ts'
import { countProgress } from './progress.ts'
import { SkimmedFrames } from './skim-frames.ts'
import { type FrameInFlight, frameReason, StoredFrames, type StoredFramesOptions } from './stored-frames.ts'

export interface OpenArtifactRequest extends CopyAddress {
  readonly threads: number
  /** Threads that other artifacts use too, one after another; absent: threads of its own, as long as a pass. */
  readonly decoders?: Decoders
  readonly onProgress?: (progress: RunProgress) => void
}

export interface OpenArtifact extends AsyncDisposable {
  readonly manifest: Manifest
  /** `unknown`: worth a notice; a configured keyring refuses it. */
  readonly signer: Signer
  readonly content: ArtifactContent
}

/**
 * Opens one copy for restoring. Manifest, index and keys are checked here, every frame before it is decrypted, tags by
 * the end of each pass: MANIFEST_INVALID, SIGNER_UNKNOWN, ARTIFACT_CORRUPT, KEY_MISSING. Disposing ends a pass and zeroes the key.
 */
export async function openArtifact(request: OpenArtifactRequest, signal: AbortSignal): Promise<OpenArtifact> {
  const { store, threads } = request
  const { manifest, signer } = await readManifest(request, signal)
  const { size } = await statArtifact(manifest, store, signal)
  if (size !== manifest.size_bytes)
    throw corrupt(manifest, artifactKeyOf(manifest), `it has ${size} bytes, the manifest says ${manifest.size_bytes}`)
  const index = await readArtifactIndex(manifest, store, signal)
  const dataKey = await openDataKey(manifest, request, signal)
  const closed = new AbortController()
  await using stack = new AsyncDisposableStack()
  const decoders = request.decoders ?? stack.use(new Decoders(threads, 0))
  const stop = AbortSignal.any([signal, closed.signal])
  const content = new StoredContent(
    { store, manifest, index, dataKey },
    decoders,
    stop,
    request.onProgress ?? (() => {}),
  )
  const own = stack.move()
  return {
    manifest,
    signer,
    content,
    async [Symbol.asyncDispose]() {
      closed.abort()
      await content.idle
      await own.disposeAsync()
      dataKey?.fill(0)
    },
  }
}

/** Threads of a look into the middle serve the pass that comes next. */
const NEXT_PASS_MS = 10_000

class StoredContent implements ArtifactContent {
  readonly #options: Omit<StoredFramesOptions, 'pool' | 'checksum'>
  readonly #decoders: Decoders
  readonly #signal: AbortSignal
  readonly #report: (progress: RunProgress) => void
  #busy = false
  /** Until then the taker needs the chunk that it was given last. */
  #held: Promise<unknown> | null = null
  /** When no pass is under way; never rejects. */
  idle: Promise<void> = Promise.resolve()

  constructor(
    options: Omit<StoredFramesOptions, 'pool' | 'checksum'>,
    decoders: Decoders,
    signal: AbortSignal,
    report: (progress: RunProgress) => void,
  ) {
    this.#options = options
    this.#decoders = decoders
    this.#signal = signal
    this.#report = report
  }

  get size(): number {
    return this.#options.manifest.source_bytes
  }

  async *chunks(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for await (const { pool, frame } of this.#pass(null, signal)) {
      yield pool.memory.output(frame.slot).subarray(0, frame.plain)
    }
  }

  hold(until: Promise<unknown>): void {
    this.#held = until
  }

  skim(from: number, signal: AbortSignal): SkippableBytes {
    const stop = AbortSignal.any([signal, this.#signal])
    return new SkimmedFrames({
      ...this.#options,
      from,
      // Whoever looks at the end reads from the beginning next.
      pass: (work) => this.#exclusively(work, from > 0),
      named: (error, frame) => this.#named(error, frame),
      signal: stop,
    })
  }

  async writeTo(fd: number, signal: AbortSignal): Promise<void> {
    for await (const _ of this.#pass(fd, signal));
  }

  /** Frames in order as they are done. Whatever ends the pass, no thread is at work on it, and on `fd`, afterwards. */
  #pass(fd: number | null, signal: AbortSignal): AsyncGenerator<{ pool: FramePool; frame: FrameInFlight }> {
    const frames = (pool: FramePool) => this.#frames(pool, fd, signal)
    return this.#exclusively(async function* (pool) {
      for await (const frame of frames(pool)) yield { pool, frame }
    })
  }

  async *#exclusively<T>(work: (pool: FramePool) => AsyncGenerator<T>, keep = false): AsyncGenerator<T> {
    if (this.#busy) throw new SalvorError('INTERNAL', { what: 'an artifact that is read twice at once' })
    this.#busy = true
    const ended = Promise.withResolvers<void>()
    this.idle = ended.promise
    try {
      const lent = await this.#decoders.lend(this.#options.manifest, this.#options.dataKey)
      let whole = false
      try {
        yield* work(lent.pool)
        whole = true
      } finally {
        await lent.giveBack(whole, keep ? NEXT_PASS_MS : undefined)
      }
    } finally {
      this.#busy = false
      ended.resolve()
    }
  }

  /** Frames are read and opened ahead, as far as there are slots, whatever the taker is busy with. */
  async *#frames(pool: FramePool, fd: number | null, signal: AbortSignal): AsyncGenerator<FrameInFlight> {
    const progress = countProgress('reading', this.size, this.#report)
    const frames = new StoredFrames({ ...this.#options, pool, checksum: false })
    const ahead = new FramesAhead(frames.read(fd, AbortSignal.any([signal, this.#signal])), pool)
    try {
      for (let frame = await ahead.next(); frame !== null; frame = await ahead.next()) {
        await frame.done.catch((error: unknown) => {
          throw this.#named(error, frame)
        })
        this.#held = null
        yield frame
        ahead.release(frame, this.#held)
        progress(frame.plain)
      }
      frames.assertWhole()
    } finally {
      await ahead[Symbol.asyncDispose]()
    }
  }

  #named(error: unknown, frame: FrameInFlight): unknown {
    if (!(error instanceof FrameFailure)) return error
    const { manifest } = this.#options
    if (error.kind !== 'write') return corrupt(manifest, artifactKeyOf(manifest), frameReason(error, frame), error)
    if (error.message === 'ENOSPC') return new SalvorError('DISK_FULL', { what: 'the restore target' }, error)
    return new SalvorError('RESTORE_FAILED', { target: 'the target', reason: error.message }, error)
  }
}
