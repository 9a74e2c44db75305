import { createHash } from 'node:crypto'
import type { BlockBlobClient } from '@azure/storage-blob'
import type { BlockBuffer } from './blocks.ts'
import { isRefusal, ServiceError } from './errors.ts'
import type { AzurePlace } from './place.ts'

/** Blocks on their way at once; one more is being filled. */
const IN_FLIGHT = 2

export interface Block {
  readonly id: string
  readonly size: number
}

/** Brings blocks to the service, some at a time, in any order; knows up to which one they have all arrived. */
export class Staging {
  readonly #place: AzurePlace
  readonly #blob: BlockBlobClient
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #blocks: Block[] = []
  readonly #arrived = new Set<number>()
  readonly #flights = new Set<Promise<void>>()
  readonly #spare: BlockBuffer[] = []
  #failure: unknown = null
  #upTo = 0
  #echoed = true

  constructor(place: AzurePlace, key: string, signal: AbortSignal) {
    this.#place = place
    this.#blob = place.blob(key, 'write')
    this.#signal = AbortSignal.any([signal, this.#stop.signal])
  }

  get blocks(): readonly Block[] {
    return this.#blocks
  }
  /** The first so many blocks have arrived. */
  get upTo(): number {
    return this.#upTo
  }
  /** False once the service took a block without naming its checksum. */
  get echoed(): boolean {
    return this.#echoed
  }

  /** A block that an earlier attempt has brought over. */
  skip(block: Block, echoed: boolean): void {
    this.#blocks.push(block)
    this.#echoed &&= echoed
    this.#land(this.#blocks.length - 1)
  }

  /** A buffer whose block has arrived, if there is one: memory is used again and not left to the garbage collector. */
  spare(): BlockBuffer | undefined {
    return this.#spare.pop()
  }

  /** Resolves when there is room for one more. `buffer` belongs to the staging from now on. */
  async stage(id: string, buffer: BlockBuffer): Promise<void> {
    const index = this.#blocks.push({ id, size: buffer.bytes.length }) - 1
    const flight = this.#fly(index, id, buffer)
    this.#flights.add(flight)
    void flight.then(() => this.#flights.delete(flight))
    while (this.#flights.size >= IN_FLIGHT && this.#failure === null) await Promise.race(this.#flights)
    this.#throwFailure()
  }

  /** Resolves when every block has arrived. */
  async landed(): Promise<void> {
    await Promise.all(this.#flights)
    this.#throwFailure()
  }

  /** Ends what is under way; with `wait` only after it arrived or failed by itself. Never throws. */
  async end(wait: boolean): Promise<void> {
    if (!wait) this.#stop.abort()
    await Promise.all(this.#flights)
  }

  /** Never rejects: a failure is kept until somebody waits. */
  async #fly(index: number, id: string, buffer: BlockBuffer): Promise<void> {
    try {
      await this.#send(id, buffer.bytes)
      this.#land(index)
      this.#spare.push(buffer)
    } catch (error) {
      this.#failure ??= error
    }
  }

  async #send(id: string, bytes: Buffer): Promise<void> {
    const md5 = createHash('md5').update(bytes).digest()
    const stage = async (abortSignal: AbortSignal) => {
      const options = { abortSignal, transactionalContentMD5: md5 }
      const { contentMD5 } = await this.#blob.stageBlock(id, bytes, bytes.length, options)
      this.#judge(contentMD5, md5)
    }
    await this.#place.request(this.#signal, stage, this.#place.timing.blockMs)
  }

  /** The service has compared the checksum that it was sent; its own must be the same. */
  #judge(echo: Uint8Array | undefined, md5: Buffer): void {
    if (echo === undefined) this.#echoed = false
    else if (!md5.equals(echo)) throw new ServiceError({ code: 'Md5Mismatch' })
  }

  #land(index: number): void {
    this.#arrived.add(index)
    while (this.#arrived.delete(this.#upTo)) this.#upTo++
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure
  }
}

/** Sizes of the blocks that the service holds uncommitted, by id. Empty where it has none, or does not let this login look. */
export async function stagedBlocks(
  place: AzurePlace,
  key: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const ask = (abortSignal: AbortSignal) => place.blob(key, 'read').getBlockList('uncommitted', { abortSignal })
  try {
    const { uncommittedBlocks = [] } = await place.request(signal, ask)
    return new Map(uncommittedBlocks.map(({ name, size }) => [name, size]))
  } catch (error) {
    if (isRefusal(error, 'missing') || isRefusal(error, 'denied')) return new Map()
    throw error
  }
}
