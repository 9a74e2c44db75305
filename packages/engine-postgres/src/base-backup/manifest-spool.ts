import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Room } from '../protocol/framer.ts'

/** A manifest that does not say what the server wrote. */
export class ManifestInvalid extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'ManifestInvalid'
  }
}

const LINE = '"Manifest-Checksum": "'
/** Longer than the last line with its checksum of 64 digits. */
const TAIL = 256
const CHUNK = 256 * 1024

/** Keeps the manifest on disk until the archive is done: a million files make one of more than 150 MB. */
export class ManifestSpool implements AsyncDisposable {
  readonly #file: FileHandle
  size = 0

  private constructor(file: FileHandle) {
    this.#file = file
  }

  static async create(folder: string): Promise<ManifestSpool> {
    return new ManifestSpool(await open(join(folder, 'backup_manifest'), 'wx+', 0o600))
  }

  write(part: Buffer): Room {
    const at = this.size
    this.size += part.length
    return this.#writeAll(part, at)
  }

  async #writeAll(part: Buffer, at: number): Promise<void> {
    for (let done = 0; done < part.length;) {
      const { bytesWritten } = await this.#file.write(part, done, part.length - done, at + done)
      done += bytesWritten
    }
  }

  /** Compares the manifest's own checksum with its bytes. */
  async verify(signal: AbortSignal): Promise<void> {
    const tail = Buffer.alloc(Math.min(TAIL, this.size))
    await this.#file.read(tail, 0, tail.length, this.size - tail.length)
    const line = tail.lastIndexOf(`\n${LINE}`)
    if (line === -1) throw new ManifestInvalid('the backup manifest has no checksum')
    const end = this.size - tail.length + line + 1
    const given = /^([0-9a-f]{64})"\}\n$/.exec(tail.toString('latin1', line + 1 + LINE.length))?.[1]
    const hash = createHash('sha256')
    for await (const part of this.chunks(signal, end)) hash.update(part)
    if (given === undefined || hash.digest('hex') !== given) {
      throw new ManifestInvalid('the backup manifest does not match its own checksum')
    }
  }

  /** The first `end` bytes. A chunk is overwritten by the next. */
  async *chunks(signal: AbortSignal, end = this.size): AsyncGenerator<Buffer> {
    const buffer = Buffer.allocUnsafe(CHUNK)
    for (let at = 0; at < end;) {
      signal.throwIfAborted()
      const { bytesRead } = await this.#file.read(buffer, 0, Math.min(CHUNK, end - at), at)
      if (bytesRead === 0) throw new ManifestInvalid('the backup manifest was cut while it was read')
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}
