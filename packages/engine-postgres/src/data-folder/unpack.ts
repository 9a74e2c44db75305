import { closeSync, writeSync } from 'node:fs'
import type { TarHeader } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'
import { memberPath } from './member-name.ts'
import { Tree } from './tree.ts'

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
  readonly #tree: Tree
  #name = ''
  #file: number | null = null

  constructor(root: string, there: readonly string[]) {
    this.#tree = new Tree(root, there)
  }

  begin(header: TarHeader): void {
    this.#name = memberPath(header)
    if (header.type === 'directory') this.#tree.folder(this.#name)
    else this.#file = this.#tree.create(this.#name)
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
}
