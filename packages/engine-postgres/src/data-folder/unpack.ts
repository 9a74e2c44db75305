import { closeSync, constants, mkdirSync, openSync, writeSync } from 'node:fs'
import { TarInvalid, type TarHeader } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'
import { memberPath, pathBelow, shown } from './member-name.ts'

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/**
 * Writes an archive's files and directories below `root`, a folder that nobody else writes to: 0700 and 0600, nothing
 * followed, nothing overwritten. `written` hears of each file when it is whole. `there`: folders that are made already,
 * or links to such.
 */
export async function unpack(
  chunks: AsyncIterable<Uint8Array>,
  root: string,
  written: (name: string) => void,
  there: readonly string[] = [],
): Promise<void> {
  const folder = new Unpacking(root, there)
  try {
    for await (const part of tarParts(chunks)) {
      if (part.kind === 'member') folder.begin(part.header)
      else if (part.kind === 'data') folder.write(part.bytes)
      else folder.end(written)
    }
  } finally {
    folder.close()
  }
}

class Unpacking {
  readonly #root: string
  readonly #folders: Set<string>
  #name = ''
  #file: number | null = null

  constructor(root: string, there: readonly string[]) {
    this.#root = root
    this.#folders = new Set(['', ...there])
  }

  begin(header: TarHeader): void {
    this.#name = memberPath(header)
    if (header.type === 'directory') {
      this.#folder(this.#name)
      return
    }
    this.#folder(this.#name.slice(0, Math.max(0, this.#name.lastIndexOf('/'))))
    try {
      this.#file = openSync(pathBelow(this.#root, this.#name), NEW_FILE, 0o600)
    } catch (error) {
      const twice = (error as NodeJS.ErrnoException).code === 'EEXIST'
      throw twice ? new TarInvalid(`${shown(this.#name)} comes twice`) : error
    }
  }

  write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) at += writeSync(this.#file!, bytes, at)
  }

  end(written: (name: string) => void): void {
    if (this.#file === null) return
    this.close()
    written(this.#name)
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }

  #folder(name: string): void {
    if (this.#folders.has(name)) return
    const above = name.lastIndexOf('/')
    this.#folder(above === -1 ? '' : name.slice(0, above))
    try {
      mkdirSync(pathBelow(this.#root, name), 0o700)
    } catch (error) {
      const clash = (error as NodeJS.ErrnoException).code === 'EEXIST'
      throw clash ? new TarInvalid(`${shown(name)} is both a file and a directory`) : error
    }
    this.#folders.add(name)
  }
}
