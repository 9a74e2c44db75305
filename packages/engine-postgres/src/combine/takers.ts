import { closeSync, ftruncateSync } from 'node:fs'
import type { FateOf } from '../data-folder/fates.ts'
import { HeadReader, PAGE, type IncrementalHead } from '../incremental/form.ts'
import { TarInvalid } from '../tar/header.ts'
import { PageRuns, type PutBytes } from './page-runs.ts'
import type { Taker } from './read-level.ts'
import { hasPage, setPage, type ScratchTable, type WaitingFile } from './scratch-table.ts'
import type { Tree } from '../data-folder/tree.ts'
import { makeZeros } from '../data-folder/zeros.ts'

/** Where combined files go, and what is still missing of them. */
export interface Combined {
  readonly tree: Tree
  readonly table: ScratchTable
  /** Files are made once a byte of them came, not before; this hears of those that are whole without any. */
  readonly empty?: (name: string) => void
  /** Hears of each file when it is whole. */
  readonly whole: (name: string) => void
  /** What becomes of the files of the newest backup; absent: all are taken. */
  readonly fate?: FateOf
  /** Hears of each file of which only the length was wanted. */
  readonly zeroed?: (name: string, size: number) => void
}

/** A file of the newest backup as it is. */
export function copyTaker({ tree, whole, empty }: Combined, name: string, size: number): Taker {
  if (empty && size === 0) return { write: () => undefined, end: () => empty(name) }
  const file = tree.create(name, size)
  let at = 0
  return {
    write(bytes) {
      tree.put(file, bytes, at)
      at += bytes.length
    },
    end() {
      closeSync(file)
      whole(name)
    },
  }
}

/** An INCREMENTAL member of the newest backup: gives the file its length and its newest pages. */
export class NewestIncremental implements Taker {
  readonly #combined: Combined
  readonly #name: string
  readonly #head: HeadReader
  #file: number | null = null
  #runs: PageRuns | null = null

  constructor(combined: Combined, name: string, size: number) {
    this.#combined = combined
    this.#name = name
    this.#head = new HeadReader(size)
  }

  write(bytes: Buffer): void {
    const rest = bytes.subarray(this.#head.take(bytes))
    const { head } = this.#head
    if (head === null) return
    this.#runs ??= this.#begin(head)
    this.#runs?.write(rest)
  }

  #begin({ truncation, pages }: IncrementalHead): PageRuns | null {
    if (this.#combined.empty && pages.length === 0) return null
    const { tree } = this.#combined
    const size = lengthOf({ truncation, pages })
    const file = (this.#file ??= tree.create(this.#name, size))
    ftruncateSync(file, size)
    // Older backups are not asked for what lies beyond: it is zeros unless it comes now.
    let above = truncation
    for (const page of pages) {
      if (page > above) tree.clear(file, above * PAGE, page * PAGE)
      if (page >= above) above = page + 1
    }
    return new PageRuns(put(tree, file), (index) => pages[index]!)
  }

  end(): void {
    if (this.#file !== null) closeSync(this.#file)
    const { head } = this.#head
    if (head === null) throw new TarInvalid('an INCREMENTAL file is shorter than its head')
    const { table, whole, empty } = this.#combined
    const below = head.pages.filter((page) => page < head.truncation).length
    if (below === head.truncation) (this.#file === null ? empty! : whole)(this.#name)
    else if (!table.add(this.#name, head.truncation, head.pages))
      throw new TarInvalid('an INCREMENTAL file comes twice')
  }
}

/** An INCREMENTAL member of an older backup: gives the pages that no newer one had. */
export class OlderIncremental implements Taker {
  readonly #combined: Combined
  readonly #waiting: WaitingFile
  readonly #head: HeadReader
  #file: number | null = null
  #runs: PageRuns | null = null

  constructor(combined: Combined, waiting: WaitingFile, size: number) {
    this.#combined = combined
    this.#waiting = waiting
    this.#head = new HeadReader(size)
  }

  write(bytes: Buffer): void {
    const rest = bytes.subarray(this.#head.take(bytes))
    const { head } = this.#head
    if (head === null || rest.length === 0) return
    this.#file ??= reopened(this.#combined, this.#waiting)
    this.#runs ??= new PageRuns(put(this.#combined.tree, this.#file), (index) =>
      wantedPage(this.#waiting, head.pages[index]!),
    )
    this.#runs.write(rest)
  }

  end(): void {
    if (this.#file === null) return
    closeSync(this.#file)
    const { table, whole } = this.#combined
    const { came, wanted } = this.#waiting
    for (const page of this.#head.head!.pages) if (page < wanted) setPage(came, page)
    if (!isWhole(this.#waiting)) {
      table.update(this.#waiting)
      return
    }
    table.done(this.#waiting)
    whole(this.#waiting.name)
  }
}

/** The whole file in an older backup: gives all pages that are still missing. What it does not have is zeros. */
export function olderWhole(combined: Combined, waiting: WaitingFile, size: number): Taker {
  const { table, whole, tree } = combined
  const file = reopened(combined, waiting)
  const pages = Math.floor(size / PAGE)
  const runs = new PageRuns(put(tree, file), (index) => (index < pages ? wantedPage(waiting, index) : null))
  return {
    write: (bytes) => runs.write(bytes),
    end() {
      const { wanted, came } = waiting
      for (let page = pages; page < wanted; page++)
        if (!hasPage(came, page)) tree.clear(file, page * PAGE, (page + 1) * PAGE)
      closeSync(file)
      table.done(waiting)
      whole(waiting.name)
    },
  }
}

/** An INCREMENTAL member of the newest backup of which only the length is wanted. */
export function zerosOfIncremental({ tree, zeroed }: Combined, name: string, size: number): Taker {
  const head = new HeadReader(size)
  return {
    write: (bytes) => void head.take(bytes),
    end() {
      if (head.head === null) throw new TarInvalid('an INCREMENTAL file is shorter than its head')
      const length = lengthOf(head.head)
      makeZeros(tree, name, length)
      zeroed?.(name, length)
    },
  }
}

const lengthOf = ({ truncation, pages }: IncrementalHead): number =>
  Math.max(truncation, (pages.at(-1) ?? -1) + 1) * PAGE

const put =
  (tree: Tree, file: number): PutBytes =>
  (bytes, at) =>
    tree.put(file, bytes, at)

const reopened = ({ tree }: Combined, { name, wanted }: WaitingFile): number => tree.reopen(name, wanted * PAGE)

const wantedPage = ({ wanted, came }: WaitingFile, page: number): number | null =>
  page < wanted && !hasPage(came, page) ? page : null

function isWhole({ wanted, came }: WaitingFile): boolean {
  for (let page = 0; page < wanted; page++) if (!hasPage(came, page)) return false
  return true
}
