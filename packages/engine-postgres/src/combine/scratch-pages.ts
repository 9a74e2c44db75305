import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'
import { pathBelow } from '../data-folder/member-name.ts'
import { Tree } from '../data-folder/tree.ts'

/**
 * What the increments of a chain bring, each page at its own place of a sparse file: that takes the room of the pages that
 * changed. A file of which nothing came is not there.
 */
export class ScratchPages extends Tree {
  readonly #root: string

  constructor(root: string) {
    super(root)
    this.#root = root
  }

  override reopen(name: string, atLeast: number): number {
    this.folder(name.slice(0, Math.max(0, name.lastIndexOf('/'))))
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
    const file = openSync(pathBelow(this.#root, name), flags, 0o600)
    if (fstatSync(file).size < atLeast) ftruncateSync(file, atLeast)
    return file
  }

  read(name: string): ScratchFile {
    return new ScratchFile(openSync(pathBelow(this.#root, name), 'r'))
  }
}

export class ScratchFile implements Disposable {
  readonly #file: number
  readonly size: number

  constructor(file: number) {
    this.#file = file
    this.size = fstatSync(file).size
  }

  fill(into: Buffer, at: number): void {
    for (let done = 0; done < into.length;) {
      const count = readSync(this.#file, into, done, into.length - done, at + done)
      if (count === 0) throw new RangeError('a scratch file was cut')
      done += count
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}
