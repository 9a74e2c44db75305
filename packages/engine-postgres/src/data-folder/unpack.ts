import type { SkippableBytes } from '@salvor/shared/ports/artifact'
import type { TarHeader } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'
import { type FateOf, TAKE_ALL } from './fates.ts'
import { memberPath } from './member-name.ts'
import { NewFile } from './new-file.ts'
import type { Tree } from './tree.ts'
import { makeZeros } from './zeros.ts'

/** Hears of each file in the archive's order. */
export interface Unpacked {
  /** All its bytes came; they are written by the time the next chunk is asked for. */
  written(file: NewFile): void
  zeroed(name: string, size: number): void
}

/** Writes an archive's files and directories into `tree`, each as `fate` says. */
export async function unpack(
  chunks: AsyncIterable<Uint8Array> | SkippableBytes,
  tree: Tree,
  heard: Unpacked,
  fate: FateOf = TAKE_ALL,
): Promise<void> {
  const unpacking = new Unpacking(tree, heard, fate)
  try {
    for await (const part of tarParts(unpacking.settledAfterEach(chunks))) {
      if (part.kind === 'member') unpacking.begin(part.header, part.skip)
      else if (part.kind === 'data') unpacking.write(part.bytes)
      else unpacking.end()
    }
  } finally {
    await unpacking.close()
  }
}

class Unpacking {
  readonly #tree: Tree
  readonly #heard: Unpacked
  readonly #fate: FateOf
  #file: NewFile | null = null
  /** Files that are through, but for what is being written. */
  #ended: NewFile[] = []

  constructor(tree: Tree, heard: Unpacked, fate: FateOf) {
    this.#tree = tree
    this.#heard = heard
    this.#fate = fate
  }

  /** Writing goes on beside the parsing of a chunk, and ends before the next one takes its place. */
  settledAfterEach(chunks: AsyncIterable<Uint8Array> | SkippableBytes): AsyncIterable<Uint8Array> | SkippableBytes {
    const settled = () => this.#settledAfterEach(chunks)
    if (!('skip' in chunks)) return { [Symbol.asyncIterator]: settled }
    return { skip: (count) => chunks.skip(count), [Symbol.asyncIterator]: settled }
  }

  async *#settledAfterEach(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      yield chunk
      await this.#file?.settled()
      for (const file of this.#ended) await file.settled()
      for (const file of this.#ended.splice(0)) file.close()
    }
  }

  begin(header: TarHeader, skip: () => void): void {
    const name = memberPath(header)
    if (header.type === 'directory') {
      this.#tree.folder(name)
      return
    }
    const fate = this.#fate(name)
    if (fate === 'take') {
      this.#file = new NewFile(this.#tree, name, header.size)
      return
    }
    skip()
    if (fate === 'keep') return
    makeZeros(this.#tree, name, header.size)
    this.#heard.zeroed(name, header.size)
  }

  write(bytes: Buffer): void {
    this.#file!.write(bytes)
  }

  end(): void {
    const file = this.#file
    if (file === null) return
    this.#file = null
    if (file.isSettled) file.close()
    else this.#ended.push(file)
    this.#heard.written(file)
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
