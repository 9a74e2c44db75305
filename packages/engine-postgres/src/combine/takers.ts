import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import { HeadReader, PAGE, type IncrementalHead } from '../incremental/form.ts'
import { TarInvalid } from '../tar/header.ts'
import { PageRuns } from './page-runs.ts'
import type { Taker } from './read-level.ts'
import { hasPage, setPage, type ScratchTable, type WaitingFile } from './scratch-table.ts'
import type { Tree } from '../data-folder/tree.ts'

/** Where combined files go, and what is still missing of them. */
export interface Combined {
  readonly tree: Tree
  readonly table: ScratchTable
  /** Files are made once a byte of them came, not before; this hears of those that are whole without any. */
  readonly empty?: (name: string) => void
  /** Hears of each file when it is whole. */
  readonly whole: (name: string) => void
}

/** A file of the newest backup as it is. */
export function copyTaker({ tree, whole, empty }: Combined, name: string, size: number): Taker {
  if (empty && size === 0) return { write: () => undefined, end: () => empty(name) }
  const file = tree.create(name)
  return {
    write(bytes) {
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
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
    this.#file ??= this.#combined.tree.create(this.#name)
    ftruncateSync(this.#file, Math.max(truncation, (pages.at(-1) ?? -1) + 1) * PAGE)
    return new PageRuns(this.#file, (index) => pages[index]!)
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
    this.#runs ??= new PageRuns(this.#file, (index) => wantedPage(this.#waiting, head.pages[index]!))
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
  const { table, whole } = combined
  const file = reopened(combined, waiting)
  const pages = Math.floor(size / PAGE)
  const runs = new PageRuns(file, (index) => (index < pages ? wantedPage(waiting, index) : null))
  return {
    write: (bytes) => runs.write(bytes),
    end() {
      closeSync(file)
      table.done(waiting)
      whole(waiting.name)
    },
  }
}

const reopened = ({ tree }: Combined, { name, wanted }: WaitingFile): number => tree.reopen(name, wanted * PAGE)

const wantedPage = ({ wanted, came }: WaitingFile, page: number): number | null =>
  page < wanted && !hasPage(came, page) ? page : null

function isWhole({ wanted, came }: WaitingFile): boolean {
  for (let page = 0; page < wanted; page++) if (!hasPage(came, page)) return false
  return true
}
