import { createHash } from 'node:crypto'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectWriter, StoredObject } from '@salvor/shared/ports/store'
import {
  blockId,
  BlockBuffer,
  blockSizeAt,
  blockSizeFor,
  fromToken,
  MiB,
  MOST_BLOCKS,
  toToken,
  type Progress,
} from './blocks.ts'
import { isRefusal, ServiceError, storeError } from './errors.ts'
import type { AzurePlace } from './place.ts'
import { DIGEST, propertiesOf } from './properties.ts'
import { assertStored, holdsTheSame, type Sent } from './read-back.ts'
import { stagedBlocks, Staging } from './staging.ts'

const TIERED_FROM = MiB

/** Begins an upload, or goes on with one that broke off. */
export async function openWriter(
  place: AzurePlace,
  key: string,
  options: { readonly resume?: string | null; readonly size?: number | null },
  signal: AbortSignal,
): Promise<AzureWriter> {
  throwIfInterrupted(signal)
  const fresh = { block_size: blockSizeFor(options.size ?? null), blocks: 0, echoed: true }
  const progress = fromToken(options.resume)
  if (progress === null) return new AzureWriter(place, key, { ...fresh, staged: new Map() }, signal)
  const staged = await stagedBlocks(place, key, signal)
  return new AzureWriter(place, key, staged.size === 0 ? { ...fresh, staged } : { ...progress, staged }, signal)
}

interface Start extends Progress {
  readonly staged: ReadonlyMap<string, number>
}

/**
 * Write-once by `If-None-Match: *`, in one request up to 16 MiB and in staged blocks above. Staged blocks cannot be read
 * and cannot be deleted one by one: those of an attempt that is given up are dropped by the service after a week.
 */
export class AzureWriter implements ObjectWriter {
  readonly #place: AzurePlace
  readonly #key: string
  readonly #signal: AbortSignal
  readonly #start: Start
  readonly #staging: Staging
  readonly #hash = createHash('sha256')
  #buffer: BlockBuffer
  #size = 0
  /** So many blocks of an earlier attempt may still be the same. */
  #resumable: number
  #settled = false
  #failure: SalvorError | null = null

  constructor(place: AzurePlace, key: string, start: Start, signal: AbortSignal) {
    this.#place = place
    this.#key = key
    this.#signal = signal
    this.#start = start
    this.#resumable = start.blocks
    this.#staging = new Staging(place, key, signal)
    this.#buffer = new BlockBuffer(blockSizeAt(start.block_size, 0))
  }

  get resumeToken(): string | null {
    const { block_size, blocks, echoed } = this.#start
    const own = { block_size, blocks: this.#staging.upTo, echoed: this.#staging.echoed }
    // What was there before stays worth its token until other bytes show that it is not.
    return toToken(own.blocks < this.#resumable ? { block_size, blocks, echoed } : own)
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#guarded(async () => {
      for (let at = 0; at < chunk.length;) {
        // A block is sealed when a byte more comes: what fits into one goes up in one request.
        if (this.#buffer.isFull) await this.#seal()
        const taken = this.#buffer.append(chunk.subarray(at))
        this.#hash.update(chunk.subarray(at, at + taken))
        at += taken
      }
      this.#size += chunk.length
    })
  }

  finish(): Promise<StoredObject> {
    return this.#guarded(async () => {
      const stored = (this.#staging.blocks.length === 0 && (await this.#inOne())) || (await this.#inBlocks())
      this.#settled = true
      return stored
    })
  }

  async abort(options?: { readonly keepParts?: boolean }): Promise<void> {
    if (this.#settled) return
    this.#settled = true
    await this.#staging.end(options?.keepParts === true)
  }

  async #seal(): Promise<void> {
    const index = this.#staging.blocks.length
    if (index >= MOST_BLOCKS) throw this.#tooLarge()
    const buffer = this.#buffer
    const { length: size } = buffer.bytes
    const id = blockId(index, this.#hash)
    const limit = blockSizeAt(this.#start.block_size, index + 1)
    if (index < this.#resumable && this.#start.staged.get(id) === size) {
      this.#staging.skip({ id, size }, this.#start.echoed)
      this.#buffer = buffer.reset(limit)
      return
    }
    this.#resumable = Math.min(this.#resumable, index)
    await this.#staging.stage(id, buffer)
    this.#buffer = this.#staging.spare()?.reset(limit) ?? new BlockBuffer(limit, limit)
  }

  /** Null: the name is taken by something that cannot be seen, such as the staged blocks of an attempt that was given up. */
  async #inOne(): Promise<StoredObject | null> {
    const sent = this.#sent(createHash('md5').update(this.#buffer.bytes).digest())
    return (await this.#settle(sent)) ? storedObject(sent) : null
  }

  async #inBlocks(): Promise<StoredObject> {
    // An empty blob is a list of no blocks: the service takes no empty one.
    if (this.#buffer.bytes.length > 0) await this.#seal()
    await this.#staging.landed()
    const sent = this.#sent(null)
    if (await this.#settle(sent)) return storedObject(sent)
    const reason = 'its name is taken by something that cannot be seen'
    throw new SalvorError('STORE_BAD_ECHO', { store: this.#place.store, key: this.#key, reason })
  }

  #sent(md5: Buffer | null): Sent {
    const { blocks, echoed } = this.#staging
    return { key: this.#key, size: this.#size, sha256: this.#hash.copy().digest('hex'), blocks, md5, echoed }
  }

  /** True: the object is there and is what was sent, made now or before. */
  async #settle(sent: Sent): Promise<boolean> {
    if (await this.#create(sent)) {
      await assertStored(this.#place, sent, this.#signal)
      return true
    }
    const same = await holdsTheSame(this.#place, sent, this.#signal)
    if (same === false) throw new SalvorError('STORE_CONFLICT', { store: this.#place.store, key: this.#key })
    return same === true
  }

  /** False: the name is taken, perhaps by this very object, when the answer to an earlier try was lost. */
  async #create(sent: Sent): Promise<boolean> {
    try {
      await this.#place.request(this.#signal, (abortSignal) => this.#ask(sent, abortSignal), this.#place.timing.blockMs)
      return true
    } catch (error) {
      if (isRefusal(error, 'exists')) return false
      // After a commit that we did not hear of, its blocks are no longer staged.
      if (isRefusal(error, 'unstaged') && (await propertiesOf(this.#place, this.#key, this.#signal))) return false
      throw error
    }
  }

  async #ask(sent: Sent, abortSignal: AbortSignal): Promise<void> {
    const { tier } = this.#place
    const blob = this.#place.blob(this.#key, 'write')
    const options = {
      abortSignal,
      conditions: { ifNoneMatch: '*' },
      metadata: { [DIGEST]: sent.sha256 },
      ...(tier === undefined || sent.size <= TIERED_FROM ? {} : { tier: tier.charAt(0).toUpperCase() + tier.slice(1) }),
    }
    if (sent.md5 === null) {
      await blob.commitBlockList(
        sent.blocks.map(({ id }) => id),
        options,
      )
      return
    }
    const { contentMD5 } = await blob.upload(this.#buffer.bytes, sent.size, {
      ...options,
      transactionalContentMD5: sent.md5,
    })
    // Asked again, the service says that the name is taken, and what lies there is read.
    if (contentMD5 !== undefined && !sent.md5.equals(contentMD5)) throw new ServiceError({ code: 'Md5Mismatch' })
  }

  #tooLarge(): SalvorError {
    const reason = `a blob has at most ${MOST_BLOCKS} blocks; give the size beforehand, or split the source`
    return new SalvorError('STORE_DENIED', { store: this.#place.store, what: `take ${this.#key}`, reason })
  }

  /** The first failure is the writer's last word. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failure !== null) throw this.#failure
    try {
      throwIfInterrupted(this.#signal)
      return await work()
    } catch (error) {
      this.#failure = storeError(this.#place.store, `take ${this.#key}`, this.#key, error)
      throw this.#failure
    }
  }
}

function storedObject({ key, size, sha256 }: Sent): StoredObject {
  return { key, size, sha256 }
}
