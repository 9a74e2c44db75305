import type { ArtifactShape } from './messages.ts'
import { type PageTable, placeOf } from './page-table.ts'

/** Copies plain bytes of an artifact; false: they cannot be had. The full is artifact 0, increments follow. */
export type ReadArtifact = (artifact: number, offset: number, into: Uint8Array) => boolean

/** The database file of a state, put together as it is read: each page from the newest artifact that has it. */
export class StateFile {
  readonly size: number
  readonly #full: ArtifactShape
  /** Newest first, with the number of the artifact. */
  readonly #tables: readonly { readonly artifact: number; readonly table: PageTable }[]
  readonly #read: ReadArtifact

  constructor(full: ArtifactShape, increments: readonly { readonly table: PageTable }[], read: ReadArtifact) {
    this.#full = full
    this.#tables = increments.map(({ table }, i) => ({ artifact: i + 1, table })).toReversed()
    this.#read = read
    const newest = this.#tables[0]?.table
    this.size = newest ? newest.page_count * newest.page_size : full.size
  }

  /** Fills `into`; what lies behind the end is zeros. False: a part of it cannot be had. */
  read(offset: number, into: Uint8Array): boolean {
    const count = Math.max(0, Math.min(into.length, this.size - offset))
    into.fill(0, count)
    const newest = this.#tables[0]?.table
    if (!newest) return count === 0 || this.#read(0, offset, into.subarray(0, count))
    for (let at = 0; at < count;) {
      const page = Math.floor((offset + at) / newest.page_size) + 1
      const within = (offset + at) % newest.page_size
      const part = into.subarray(at, Math.min(count, at + newest.page_size - within))
      if (!this.#readPage(page, within, part, newest.page_size)) return false
      at += part.length
    }
    return true
  }

  #readPage(page: number, within: number, into: Uint8Array, pageSize: number): boolean {
    let reach = Number.POSITIVE_INFINITY
    for (const { artifact, table } of this.#tables) {
      const place = page <= reach ? placeOf(table, page) : null
      if (place !== null) return this.#read(artifact, place + within, into)
      // A state that was shorter in between cut off what older ones had behind its end.
      reach = Math.min(reach, table.reach)
    }
    const offset = (page - 1) * pageSize + within
    const count = page <= reach ? Math.max(0, Math.min(into.length, this.#full.size - offset)) : 0
    into.fill(0, count)
    return count === 0 || this.#read(0, offset, into.subarray(0, count))
  }
}
