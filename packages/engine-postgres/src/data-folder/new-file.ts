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
  readonly #writes = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | null = null

  /** `size`: what it will have. */
  constructor(tree: Tree, name: string, size: number) {
    this.name = name
    this.#tree = tree
    this.#file = tree.create(name, size)
  }

  /** The bytes must stay as they are until it is settled. */
  write(bytes: Buffer): void {
    const writing = this.#tree.putLater(this.#file, bytes, this.size)
    if (writing !== undefined) this.#follow(writing)
    // Only now, when a thread may be writing already.
    this.crc = crc32c(bytes, this.crc)
    this.size += bytes.length
  }

  #follow(writing: Promise<void>): void {
    const followed = writing.then(
      () => void this.#writes.delete(followed),
      (error: unknown) => {
        this.#writes.delete(followed)
        this.#failure ??= { error }
      },
    )
    this.#writes.add(followed)
  }

  get isSettled(): boolean {
    return this.#writes.size === 0 && this.#failure === null
  }

  /** Rejects with the first failure of the writes that were begun before, when these have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#writes)
    if (this.#failure) throw this.#failure.error
  }

  /** Once it is settled. */
  close(): void {
    closeSync(this.#file)
  }
}
