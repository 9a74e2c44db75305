import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs'
import type { Aside } from '../data-folder/read-back.ts'
import { Tree } from '../data-folder/tree.ts'
import { PAGE } from '../incremental/form.ts'

const OLD_FILE = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK
const NOT_SUCH_A_FILE: ReadonlySet<string | undefined> = new Set(['ELOOP', 'EISDIR', 'ENXIO', 'EMLINK', 'EACCES'])
const ZEROS = Buffer.alloc(1024 * 1024)

export interface Former {
  readonly root: string
  /** Folders that are there, and may be links. */
  readonly links: ReadonlySet<string>
  /** Its new content lies elsewhere for now. */
  readonly aside: Aside
}

/** A data folder that is there already: its files are opened, and only pages that differ are written. Links are not followed. */
export class FormerTree extends Tree {
  readonly #former: Former
  readonly #buffer = Buffer.alloc(1024 * 1024)
  /** Files below pg_wal that the backup has: its manifest does not name segments. */
  readonly wal = new Set<string>()
  writtenBytes = 0

  constructor(former: Former) {
    super(former.root)
    this.#former = former
  }

  override create(name: string, size: number): number {
    this.folder(name.slice(0, Math.max(0, name.lastIndexOf('/'))))
    if (name.startsWith('pg_wal/')) this.wal.add(name)
    const file = this.#opened(name) ?? this.newFile(name)
    if (fstatSync(file).size > size) ftruncateSync(file, size)
    return file
  }

  /** Null: there is none that can be used; what is in its place is gone. */
  #opened(name: string): number | null {
    const path = this.path(name)
    try {
      const file = openSync(path, OLD_FILE)
      const found = fstatSync(file)
      // Another name of the same file may be somebody's copy of it.
      if (found.isFile() && found.nlink === 1) return file
      closeSync(file)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return null
      if (!NOT_SUCH_A_FILE.has(code)) throw error
    }
    rmSync(path, { recursive: true, force: true })
    return null
  }

  protected override path(name: string): Buffer {
    return name === this.#former.aside.name ? this.#former.aside.path : super.path(name)
  }

  override put(file: number, bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length; done += this.#buffer.length) {
      this.#putPiece(file, bytes.subarray(done, done + this.#buffer.length), at + done)
    }
  }

  override putLater(file: number, bytes: Uint8Array, at: number): undefined {
    this.put(file, bytes, at)
  }

  #putPiece(file: number, bytes: Uint8Array, at: number): void {
    const there = this.#buffer.subarray(0, this.#read(file, bytes.length, at))
    if (there.length === bytes.length && there.equals(bytes)) return
    for (let from = 0; from < bytes.length;) {
      let to = from
      while (to < bytes.length && !isSame(there, bytes, to)) to = Math.min(to + PAGE, bytes.length)
      if (to > from) {
        super.put(file, bytes.subarray(from, to), at + from)
        this.writtenBytes += to - from
      }
      from = Math.max(to, from) + (to < bytes.length ? Math.min(PAGE, bytes.length - to) : 0)
    }
  }

  #read(file: number, length: number, at: number): number {
    let filled = 0
    for (let count = -1; count !== 0 && filled < length; filled += count) {
      count = readSync(file, this.#buffer, filled, length - filled, at + filled)
    }
    return filled
  }

  override clear(file: number, from: number, to: number): void {
    for (let at = from; at < to; at += ZEROS.length)
      this.put(file, ZEROS.subarray(0, Math.min(ZEROS.length, to - at)), at)
  }

  protected override makeFolder(path: Buffer, name: string): void {
    const options = { throwIfNoEntry: false } as const
    const found = this.#former.links.has(name) ? statSync(path, options) : lstatSync(path, options)
    if (found?.isDirectory()) return
    if (found) rmSync(path)
    mkdirSync(path, 0o700)
  }
}

const isSame = (there: Buffer, bytes: Uint8Array, at: number): boolean => {
  const end = Math.min(at + PAGE, bytes.length)
  return end <= there.length && there.compare(bytes, at, end, at, end) === 0
}
