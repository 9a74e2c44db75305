import { constants, ftruncateSync, mkdirSync, openSync, write, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { pathBelow, shown } from './member-name.ts'
import { TarInvalid } from '../tar/header.ts'

const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
const OLD_FILE = constants.O_RDWR | constants.O_NOFOLLOW

const writeAt = promisify(write)
/** Less is written at once: handing it to a thread would take as long. */
const LATER_BYTES = 65_536

/** A folder that nobody else writes to, filled file by file: 0700 and 0600, nothing followed, nothing overwritten. */
export class Tree {
  readonly #root: string
  readonly #folders: Set<string>

  /** `there`: folders that are made already. */
  constructor(root: string, there: readonly string[] = []) {
    this.#root = root
    this.#folders = new Set(['', ...there])
  }

  folder(name: string): void {
    if (this.#folders.has(name)) return
    this.folder(name.slice(0, Math.max(0, name.lastIndexOf('/'))))
    this.makeFolder(this.path(name), name)
    this.#folders.add(name)
  }

  folders(): Iterable<string> {
    return this.#folders
  }

  hasFolder(name: string): boolean {
    return this.#folders.has(name)
  }

  /** `_size`: the bytes that it will have. */
  create(name: string, _size: number): number {
    this.folder(name.slice(0, Math.max(0, name.lastIndexOf('/'))))
    try {
      return this.newFile(name)
    } catch (error) {
      const twice = (error as NodeJS.ErrnoException).code === 'EEXIST'
      throw twice ? new TarInvalid(`${shown(name)} comes twice`) : error
    }
  }

  /** `_atLeast`: bytes that it must have; here every file has its length from the beginning. */
  reopen(name: string, _atLeast: number): number {
    return openSync(this.path(name), OLD_FILE)
  }

  put(file: number, bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(file, bytes, done, bytes.length - done, at + done)
    }
  }

  /** As `put`, by one of Node's threads where that pays: then the bytes must stay as they are until it resolves. */
  putLater(file: number, bytes: Uint8Array, at: number): Promise<void> | undefined {
    if (bytes.length >= LATER_BYTES) return writeAll(file, bytes, at)
    this.put(file, bytes, at)
    return undefined
  }

  /** Bytes of a file that nothing is put into: here they are zeros from the beginning. */
  clear(_file: number, _from: number, _to: number): void {}

  /** Makes a file one of zeros that takes no room. */
  blank(file: number, size: number): void {
    ftruncateSync(file, 0)
    ftruncateSync(file, size)
  }

  protected path(name: string): Buffer {
    return pathBelow(this.#root, name)
  }

  protected newFile(name: string): number {
    return openSync(this.path(name), NEW_FILE, 0o600)
  }

  protected makeFolder(path: Buffer, name: string): void {
    try {
      mkdirSync(path, 0o700)
    } catch (error) {
      const clash = (error as NodeJS.ErrnoException).code === 'EEXIST'
      throw clash ? new TarInvalid(`${shown(name)} is both a file and a directory`) : error
    }
  }
}

async function writeAll(file: number, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await writeAt(file, bytes, done, bytes.length - done, at + done)).bytesWritten
  }
}
