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
  /** All its bytes came; they are written by the time that everything is unpacked. */
  written(file: NewFile): void
  zeroed(name: string, size: number): void
}

/**
 * Writes an archive's files and directories into `tree`, each as `fate` says. `hold` keeps the last chunk as it is until something has
 * settled: then the next one is parsed while it is written.
 */
export async function unpack(
  chunks: AsyncIterable<Uint8Array> | SkippableBytes,
  tree: Tree,
  heard: Unpacked,
  fate: FateOf = TAKE_ALL,
  hold?: (until: Promise<unknown>) => void,
): Promise<void> {
  const unpacking = new Unpacking(tree, heard, fate, hold)
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
  readonly #hold: ((until: Promise<unknown>) => void) | undefined

  constructor(tree: Tree, heard: Unpacked, fate: FateOf, hold: ((until: Promise<unknown>) => void) | undefined) {
    this.#tree = tree
    this.#heard = heard
    this.#fate = fate
    this.#hold = hold
  }

  /** Writing goes on beside the parsing of a chunk, or of the one behind it where chunks can be held, and ends before its memory is taken. */
  settledAfterEach(chunks: AsyncIterable<Uint8Array> | SkippableBytes): AsyncIterable<Uint8Array> | SkippableBytes {
    const settled = () => this.#settledAfterEach(chunks)
    if (!('skip' in chunks)) return { [Symbol.asyncIterator]: settled }
    return { skip: (count) => chunks.skip(count), [Symbol.asyncIterator]: settled }
  }

  async *#settledAfterEach(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let before: Promise<void> = Promise.resolve()
    try {
      for await (const chunk of chunks) {
        yield chunk
        const settling = this.#settle()
        settling.catch(() => undefined)
        this.#hold?.(settling)
        await (this.#hold ? before : settling)
        before = settling
      }
    } finally {
      await before.catch(() => undefined)
    }
    await before
  }

  /** What was begun is written, and whatever is through is closed. */
  async #settle(): Promise<void> {
    const ended = [...this.#ended]
    const file = this.#file
    await Promise.all([...ended, ...(file ? [file] : [])].map((one) => one.settled()))
    for (const one of ended) this.#closeEnded(one)
  }

  #closeEnded(file: NewFile): void {
    const at = this.#ended.indexOf(file)
    if (at === -1) return
    this.#ended.splice(at, 1)
    file.close()
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
