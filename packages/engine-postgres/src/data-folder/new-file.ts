import { closeSync } from 'node:fs'
import { crc32c } from './crc32c.ts'
import type { Tree } from './tree.ts'

/** A file that is written from its beginning, and summed up on the way. */
export class NewFile {
  readonly name: string
  readonly #tree: Tree
  readonly #file: number
  size = 0
  crc = 0
  #writes: Promise<void>[] = []

  /** `size`: what it will have. */
  constructor(tree: Tree, name: string, size: number) {
    this.name = name
    this.#tree = tree
    this.#file = tree.create(name, size)
  }

  /** The bytes must stay as they are until it is settled. */
  write(bytes: Buffer): void {
    const writing = this.#tree.putLater(this.#file, bytes, this.size)
    if (writing !== undefined) this.#writes.push(writing)
    // Only now, when a thread may be writing already.
    this.crc = crc32c(bytes, this.crc)
    this.size += bytes.length
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
