import { read } from 'node:fs'
import { promisify } from 'node:util'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { PageDigesting, SnapshotSink } from '@salvor/shared/ports/artifact'
import type { ArtifactOutput } from './artifact-output.ts'
import { copyInto } from './copy-into.ts'
import type { FilePart } from './frame-jobs.ts'
import { FrameFailure, type FramePool } from './frame-pool.ts'
import { pageKey } from './page-hash.ts'
import { type ZeroRange, ZeroRanges } from './zero-ranges.ts'

const readAt = promisify(read)

/** The plain side of an artifact: cuts what an engine gives into frames and has the pool compress them. */
export class FrameSink implements SnapshotSink {
  readonly #pool: FramePool
  readonly #output: ArtifactOutput
  readonly #frameBytes: number
  readonly #source: string
  /** The frame being filled. */
  #slot: number | null = null
  #filled = 0
  #frames = 0
  #bytes = 0
  #ended = false

  constructor(pool: FramePool, output: ArtifactOutput, frameBytes: number, source: string) {
    this.#pool = pool
    this.#output = output
    this.#frameBytes = frameBytes
    this.#source = source
  }

  /** Plain bytes taken so far. */
  get bytes(): number {
    return this.#bytes
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#assertGood()
    const rest = chunk.subarray(this.#take(chunk))
    return rest.length === 0 ? undefined : this.#takeLater(Buffer.from(rest))
  }

  async writeFile(fd: number, size: number, zeros: readonly ZeroRange[] = []): Promise<void> {
    const ranges = new ZeroRanges(zeros)
    try {
      let offset = 0
      for (let room = this.#room; size - offset >= room; room = this.#room) {
        await this.#acquire()
        this.#submit({ fd, offset, length: room, zeros: ranges.within(offset, room) })
        offset += room
      }
      if (offset < size)
        await this.#readRest({ fd, offset, length: size - offset, zeros: ranges.within(offset, size - offset) })
    } finally {
      // No thread may touch `fd` after this returns, however it ends.
      await this.#output.settled()
    }
    this.#assertGood()
  }

  /** No frame but the last one is shorter than the others, so nothing may follow. */
  async writePages(fd: number, size: number, zeros: readonly ZeroRange[], digesting: PageDigesting): Promise<void> {
    const { page_size, salt } = digesting
    if (this.#bytes + this.#filled > 0 || size % page_size !== 0 || this.#frameBytes % page_size !== 0)
      throw new SalvorError('INTERNAL', { what: 'pages that do not fit into frames' })
    const ranges = new ZeroRanges(zeros)
    this.#pool.memory.pageKey.set(pageKey(salt, page_size))
    try {
      for (let offset = 0; offset < size; offset += this.#frameBytes) {
        await this.#acquire()
        const length = Math.min(this.#frameBytes, size - offset)
        this.#submit({ fd, offset, length, zeros: ranges.within(offset, length) }, digesting)
      }
    } finally {
      await this.#output.settled()
    }
    this.#ended = size > 0
    this.#assertGood()
  }

  /** Hands in the last frame and waits until all are stored. */
  async end(): Promise<void> {
    if (this.#frames === 0 && this.#slot === null) await this.#acquire()
    if (this.#slot !== null) this.#submit(null)
    await this.#output.settled()
    this.#assertGood()
  }

  get #room(): number {
    return this.#frameBytes - this.#filled
  }

  /** Copies as much as free slots take. */
  #take(chunk: Uint8Array): number {
    let taken = 0
    while (taken < chunk.length) {
      this.#slot ??= this.#pool.tryAcquire()
      if (this.#slot === null) break
      const part = chunk.subarray(taken, taken + this.#room)
      copyInto(this.#pool.memory.input(this.#slot), part, this.#filled)
      this.#filled += part.length
      taken += part.length
      if (this.#room === 0) this.#submit(null)
    }
    return taken
  }

  async #takeLater(rest: Uint8Array): Promise<void> {
    for (let at = 0; at < rest.length; at += this.#take(rest.subarray(at))) await this.#acquire()
  }

  async #acquire(): Promise<void> {
    this.#assertGood()
    this.#slot ??= await this.#pool.acquire()
    this.#assertGood()
  }

  #submit(file: FilePart | null, digesting: PageDigesting | null = null): void {
    if (this.#ended) throw new SalvorError('INTERNAL', { what: 'bytes behind the last page' })
    const slot = this.#slot!
    const plain = this.#filled + (file?.length ?? 0)
    const page_size = digesting?.page_size
    const stored = this.#pool.run({ kind: 'compress', slot, filled: this.#filled, file, page_size })
    this.#output.add(slot, plain, stored, digesting)
    this.#slot = null
    this.#filled = 0
    this.#frames++
    this.#bytes += plain
  }

  /** The end of a file, less than a frame: it stays in the slot, more may follow. */
  async #readRest(part: FilePart): Promise<void> {
    await this.#acquire()
    const into = this.#pool.memory.input(this.#slot!).subarray(this.#filled, this.#filled + part.length)
    let at = 0
    for (const [offset, length] of [...part.zeros, [part.length, 0] as const]) {
      while (at < offset) at += await this.#readSome(part.fd, into.subarray(at, offset), part.offset + at)
      into.fill(0, offset, offset + length)
      at = offset + length
    }
    this.#filled += part.length
  }

  async #readSome(fd: number, into: Uint8Array, offset: number): Promise<number> {
    const { bytesRead } = await readAt(fd, into, 0, into.length, offset).catch((error: NodeJS.ErrnoException) => {
      throw this.#sourceError(new FrameFailure('read', error.code ?? 'unknown'))
    })
    if (bytesRead === 0) throw this.#sourceError(new FrameFailure('short', ''))
    return bytesRead
  }

  #assertGood(): void {
    const { failure } = this.#output
    if (failure !== null) throw failure instanceof FrameFailure ? this.#sourceError(failure) : failure
  }

  #sourceError(failure: FrameFailure): SalvorError {
    const source = this.#source
    if (failure.kind === 'short') return new SalvorError('SOURCE_CHANGED', { source }, failure)
    if (failure.kind !== 'read')
      return new SalvorError('INTERNAL', { what: `compression (${failure.message})` }, failure)
    return new SalvorError('SOURCE_UNREADABLE', { source, what: 'the file', reason: failure.message }, failure)
  }
}
