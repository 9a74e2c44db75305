import { closeSync, write, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { crc32c } from './crc32c.ts'

const writeAt = promisify(write)

/** Less is written at once: handing it to a thread would take as long. */
const LATER = 65_536

/** A file that is written from its beginning, and summed up on the way. Large pieces are written by Node's threads, several at once. */
export class NewFile {
  readonly name: string
  readonly #file: number
  size = 0
  crc = 0
  #writes: Promise<void>[] = []

  /** `file` is closed by this object. */
  constructor(name: string, file: number) {
    this.name = name
    this.#file = file
  }

  /** Bytes are with the system when it resolves, or may not be before `settled` does: then they must stay as they are. */
  write(bytes: Buffer): void {
    const at = this.size
    this.size += bytes.length
    if (bytes.length < LATER) writeNow(this.#file, bytes, at)
    else this.#writes.push(writeLater(this.#file, bytes, at))
    // Only now, when a thread may be writing already.
    this.crc = crc32c(bytes, this.crc)
  }

  get isSettled(): boolean {
    return this.#writes.length === 0
  }

  /** Rejects with the first write's failure, when all have ended. */
  async settled(): Promise<void> {
    const ended = await Promise.allSettled(this.#writes)
    this.#writes = []
    for (const one of ended) if (one.status === 'rejected') throw one.reason
  }

  /** Once it is settled. */
  close(): void {
    closeSync(this.#file)
  }
}

function writeNow(file: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, position + at)
}

async function writeLater(file: number, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await writeAt(file, bytes, at, bytes.length - at, position + at)).bytesWritten
}
