import type { TarHeader } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'
import { memberPath } from './member-name.ts'
import { NewFile } from './new-file.ts'
import { Tree } from './tree.ts'

/** A file whose bytes all came. */
export type Unpacked = Pick<NewFile, 'name' | 'size' | 'crc'>

/**
 * Writes an archive's files and directories below `root`, a folder that nobody else writes to: 0700 and 0600, nothing
 * followed, nothing overwritten. `came` hears of each file in the archive's order; they are whole when this resolves. `there`: folders
 * that are made already, or links to such.
 */
export async function unpack(
  chunks: AsyncIterable<Uint8Array>,
  root: string,
  came: (file: Unpacked) => void,
  there: readonly string[] = [],
): Promise<void> {
  const folder = new Unpacking(root, came, there)
  try {
    for await (const part of tarParts(folder.settledAfterEach(chunks))) {
      if (part.kind === 'member') folder.begin(part.header)
      else if (part.kind === 'data') folder.write(part.bytes)
      else folder.end()
    }
  } finally {
    await folder.close()
  }
}

class Unpacking {
  readonly #tree: Tree
  readonly #came: (file: Unpacked) => void
  #file: NewFile | null = null
  /** Files that are through, but for what is being written. */
  #ended: NewFile[] = []

  constructor(root: string, came: (file: Unpacked) => void, there: readonly string[]) {
    this.#tree = new Tree(root, there)
    this.#came = came
  }

  /** Writing goes on beside the parsing of a chunk, and ends before the next one takes its place. */
  async *settledAfterEach(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      yield chunk
      await this.#file?.settled()
      for (const file of this.#ended) await file.settled()
      for (const file of this.#ended.splice(0)) file.close()
    }
  }

  begin(header: TarHeader): void {
    const name = memberPath(header)
    if (header.type === 'directory') this.#tree.folder(name)
    else this.#file = new NewFile(name, this.#tree.create(name))
  }

  write(bytes: Buffer): void {
    this.#file!.write(bytes)
  }

  end(): void {
    const file = this.#file
    if (file === null) return
    this.#file = null
    this.#came(file)
    if (file.isSettled) file.close()
    else this.#ended.push(file)
  }

  /** Nothing is written any more when it resolves. */
  async close(): Promise<void> {
    const open = this.#file === null ? this.#ended : [...this.#ended, this.#file]
    for (const file of open) {
      await file.settled().catch(() => undefined)
      file.close()
    }
  }
}
