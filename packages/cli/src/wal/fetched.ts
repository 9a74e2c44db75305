import { copyFile, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoredWal } from '@salvor/shared/vocabulary/wal'

/**
 * Segments that were fetched before they were asked for. Each stands under the digest of its signed document, so that one serves
 * only where the catalog names the very same piece.
 */
export class Fetched {
  readonly #folder: string

  /** `folder`: of one source, and of nobody else. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** Puts a segment at `path`; false: it is not here. It serves once. */
  async take(piece: StoredWal, path: string): Promise<boolean> {
    const here = this.#fileOf(piece)
    try {
      await rename(here, path)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EXDEV') return false
    }
    await copyFile(here, path)
    await using copy = await open(path)
    await copy.sync()
    await rm(here, { force: true })
    return true
  }

  /** Fetches a segment, unless it is here. `write` must make it durable under the path that it is given. */
  async add(piece: StoredWal, write: (path: string) => Promise<void>): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    if ((await readdir(this.#folder)).includes(nameOf(piece))) return
    const temporary = `${this.#fileOf(piece)}.${process.pid}`
    try {
      await write(temporary)
      await rename(temporary, this.#fileOf(piece))
    } finally {
      await rm(temporary, { force: true })
    }
  }

  /** Drops everything else: a recovery that was broken off, or is beyond it. */
  async keepOnly(pieces: readonly StoredWal[]): Promise<void> {
    const wanted = pieces.map(nameOf)
    // One that is being written has more behind its name.
    for (const name of await readdir(this.#folder).catch((): string[] => []))
      if (!wanted.some((one) => name.startsWith(one))) await rm(join(this.#folder, name), { force: true })
  }

  #fileOf(piece: StoredWal): string {
    return join(this.#folder, nameOf(piece))
  }
}

const nameOf = ({ name, document_sha256 }: StoredWal): string => `${name}.${document_sha256}`
