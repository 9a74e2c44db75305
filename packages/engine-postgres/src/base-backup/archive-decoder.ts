import { createZstdDecompress } from 'node:zlib'
import type { Room } from '../protocol/framer.ts'
import { LinkLost } from '../protocol/server-error.ts'

const CHUNK = 256 * 1024

/** Opens the one zstd frame in which a server sends an archive. Ranges handed on may be changed in place. */
export class ArchiveDecoder implements Disposable {
  readonly #stream = createZstdDecompress({ chunkSize: CHUNK })
  readonly #passed: Promise<void>
  #broken: LinkLost | null = null
  #taking: PromiseWithResolvers<void> | null = null

  constructor(out: (part: Buffer) => Room) {
    this.#stream.on('error', ({ message }) => {
      this.#broken = new LinkLost(`the compressed base backup cannot be opened: ${message}`)
    })
    // A write that fails is never called back.
    this.#stream.once('close', () => this.#taking?.reject(new LinkLost('the compressed base backup was given up')))
    this.#passed = this.#pass(out)
    this.#passed.catch(() => undefined)
  }

  async #pass(out: (part: Buffer) => Room): Promise<void> {
    try {
      for await (const part of this.#stream) await out(part as Buffer)
    } catch (error) {
      throw this.#broken ?? error
    }
  }

  /** `part` must stay as it is until the result resolves. Rejects with what `out` threw, too. */
  async write(part: Buffer): Promise<void> {
    const taking = Promise.withResolvers<void>()
    this.#taking = taking
    this.#stream.write(part, (error) => (error ? taking.reject(error) : taking.resolve()))
    await taking.promise.catch(async (error: unknown) => {
      await this.#passed
      throw error
    })
  }

  /** Everything was handed on. LinkLost: the frame is cut short. */
  async end(): Promise<void> {
    this.#stream.end()
    await this.#passed
  }

  [Symbol.dispose](): void {
    this.#stream.destroy()
  }
}
