import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import { BLOCK, makeHeader, padded } from '../tar/header.ts'
import { PART_BYTES, partName } from './contents.ts'

/** Writes a tar whose members' sizes need not be known: a dump is cut into parts, and only one part is in memory. */
export class MemberWriter {
  readonly #sink: SnapshotSink
  readonly #mtime: number
  readonly #part = Buffer.allocUnsafe(PART_BYTES)

  constructor(sink: SnapshotSink, mtime: number) {
    this.#sink = sink
    this.#mtime = mtime
  }

  async file(name: string, bytes: Uint8Array): Promise<void> {
    const header = makeHeader({ name, type: 'file', size: bytes.length, mtime: this.#mtime, uid: 0, gid: 0 })
    await this.#sink.write(header)
    if (bytes.length > 0) await this.#sink.write(bytes)
    const padding = padded(bytes.length) - bytes.length
    if (padding > 0) await this.#sink.write(Buffer.alloc(padding))
  }

  /** `dump.000000`, `dump.000001`, … in `folder`. */
  async parts(
    folder: string,
    chunks: AsyncIterable<Buffer>,
    onBytes: (bytes: number) => void,
  ): Promise<{ bytes: number; parts: number }> {
    let bytes = 0
    let parts = 0
    let filled = 0
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) {
        const taken = chunk.copy(this.#part, filled, at)
        filled += taken
        at += taken
        if (filled < PART_BYTES) continue
        await this.file(partName(folder, parts++), this.#part)
        filled = 0
      }
      onBytes(chunk.length)
      bytes += chunk.length
    }
    if (filled > 0 || parts === 0) await this.file(partName(folder, parts++), this.#part.subarray(0, filled))
    return { bytes, parts }
  }

  /** The two blocks that end an archive. */
  async end(): Promise<void> {
    await this.#sink.write(Buffer.alloc(2 * BLOCK))
  }
}
