import { appendFileSync, statSync } from 'node:fs'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import { crc32c, crcHex } from '../data-folder/crc32c.ts'
import { BLOCK, padded, renamedHeader } from '../tar/header.ts'

const GATHERED = 64 * 1024

/** Writes the archive of a full, member by member, and a journal of its files as `unpack` keeps one. */
export class MergedTar {
  readonly journal: string
  readonly #sink: SnapshotSink
  readonly #written: (bytes: number) => void
  #lines = ''
  #bytes = 0
  #size = 0
  #crc = 0

  /** `written` hears how many bytes passed, after each member. */
  constructor(sink: SnapshotSink, journal: string, written: (bytes: number) => void) {
    this.#sink = sink
    this.journal = journal
    this.#written = written
  }

  /** Headers of folders, as they came. */
  async folders(blocks: Buffer): Promise<void> {
    await this.#put(blocks)
  }

  /** `like`: the header of a file, whose owner and mode are taken over. */
  async begin(like: Buffer, name: string, size: number): Promise<void> {
    await this.#put(renamedHeader(like, name, size))
    this.#size = size
    this.#crc = 0
  }

  async data(bytes: Buffer): Promise<void> {
    this.#crc = crc32c(bytes, this.#crc)
    await this.#put(bytes)
  }

  async end(name: string): Promise<void> {
    const rest = padded(this.#size) - this.#size
    if (rest > 0) await this.#put(Buffer.alloc(rest))
    this.#lines += `${JSON.stringify([name, this.#size, crcHex(this.#crc)])}\n`
    if (this.#lines.length > GATHERED) this.flush()
    this.#written(this.#bytes)
  }

  async whole(like: Buffer, name: string, bytes: Buffer): Promise<void> {
    await this.begin(like, name, bytes.length)
    await this.data(bytes)
    await this.end(name)
  }

  /** Everything that ended is in the journal then. */
  flush(): void {
    appendFileSync(this.journal, this.#lines, { mode: 0o600 })
    this.#lines = ''
  }

  /** The last member, and the end of the archive. */
  async finish(like: Buffer, name: string, file: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    await this.begin(like, name, statSync(file).size)
    for await (const chunk of chunks) await this.data(chunk)
    await this.end(name)
    await this.#put(Buffer.alloc(2 * BLOCK))
  }

  async #put(bytes: Buffer): Promise<void> {
    const room = this.#sink.write(bytes)
    this.#bytes += bytes.length
    if (room) await room
  }
}
