import { constants, mkdirSync, openSync } from 'node:fs'
import { pathBelow, shown } from './member-name.ts'
import { TarInvalid } from '../tar/header.ts'

const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
const OLD_FILE = constants.O_RDWR | constants.O_NOFOLLOW

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
    try {
      mkdirSync(pathBelow(this.#root, name), 0o700)
    } catch (error) {
      const clash = (error as NodeJS.ErrnoException).code === 'EEXIST'
      throw clash ? new TarInvalid(`${shown(name)} is both a file and a directory`) : error
    }
    this.#folders.add(name)
  }

  create(name: string): number {
    this.folder(name.slice(0, Math.max(0, name.lastIndexOf('/'))))
    try {
      return openSync(pathBelow(this.#root, name), NEW_FILE, 0o600)
    } catch (error) {
      const twice = (error as NodeJS.ErrnoException).code === 'EEXIST'
      throw twice ? new TarInvalid(`${shown(name)} comes twice`) : error
    }
  }

  /** `_atLeast`: bytes that it must have; here every file has its length from the beginning. */
  reopen(name: string, _atLeast: number): number {
    return openSync(pathBelow(this.#root, name), OLD_FILE)
  }
}
