import { PAGE } from '../incremental/form.ts'

/** Pages as they come in a stream, and where each belongs; null: it is not wanted. */
export type PlaceOfPage = (index: number) => number | null

/** Where a piece of the file is put. */
export type PutBytes = (bytes: Buffer, at: number) => void

/** Writes the pages of a stream to their places, as many in one go as lie side by side. Pieces may end within a page. */
export class PageRuns {
  readonly #put: PutBytes
  readonly #place: PlaceOfPage
  #position = 0

  constructor(put: PutBytes, place: PlaceOfPage) {
    this.#put = put
    this.#place = place
  }

  write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const index = Math.floor(this.#position / PAGE)
      const inside = this.#position % PAGE
      const place = this.#place(index)
      let count = Math.min(PAGE - inside, bytes.length - at)
      while (
        count < bytes.length - at &&
        follows(place, this.#place(index + (inside + count) / PAGE), inside + count)
      ) {
        count = Math.min(count + PAGE, bytes.length - at)
      }
      if (place !== null) this.#put(bytes.subarray(at, at + count), place * PAGE + inside)
      this.#position += count
      at += count
    }
  }
}

/** Whether the page that comes `bytes` after the beginning of the page at `place` belongs right there, or is unwanted like it. */
function follows(place: number | null, next: number | null, bytes: number): boolean {
  return place === null ? next === null : next === place + bytes / PAGE
}
