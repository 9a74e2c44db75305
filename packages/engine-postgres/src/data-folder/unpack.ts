import { closeSync } from 'node:fs'
import type { SkippableBytes } from '@salvor/shared/ports/artifact'
import type { TarHeader } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'
import { type FateOf, TAKE_ALL } from './fates.ts'
import { memberPath } from './member-name.ts'
import type { Tree } from './tree.ts'
import { makeZeros } from './zeros.ts'

/** Hears of each file once it is whole. */
export interface Unpacked {
  written(name: string): void
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
    for await (const part of tarParts(chunks)) {
      if (part.kind === 'member') unpacking.begin(part.header, part.skip)
      else if (part.kind === 'data') unpacking.write(part.bytes)
      else unpacking.end()
    }
  } finally {
    unpacking.close()
  }
}

class Unpacking {
  readonly #tree: Tree
  readonly #heard: Unpacked
  readonly #fate: FateOf
  #name = ''
  #file: number | null = null
  #at = 0

  constructor(tree: Tree, heard: Unpacked, fate: FateOf) {
    this.#tree = tree
    this.#heard = heard
    this.#fate = fate
  }

  begin(header: TarHeader, skip: () => void): void {
    this.#name = memberPath(header)
    this.#at = 0
    if (header.type === 'directory') {
      this.#tree.folder(this.#name)
      return
    }
    const fate = this.#fate(this.#name)
    if (fate === 'take') {
      this.#file = this.#tree.create(this.#name, header.size)
      return
    }
    skip()
    if (fate === 'keep') return
    makeZeros(this.#tree, this.#name, header.size)
    this.#heard.zeroed(this.#name, header.size)
  }

  write(bytes: Buffer): void {
    this.#tree.put(this.#file!, bytes, this.#at)
    this.#at += bytes.length
  }

  end(): void {
    if (this.#file === null) return
    this.close()
    this.#heard.written(this.#name)
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }
}
