import type { SqlValue } from '@salvor/shared/ports/reading'
import type { PageTable } from './page-table.ts'

/** What main thread and reading thread say to each other. Bytes of frames travel in the shared slots, never in messages. */
export interface ReaderSetup {
  readonly shared: SharedArrayBuffer
  readonly slots: number
  readonly slot_bytes: number
  readonly full: ArtifactShape
  /** Oldest first. */
  readonly increments: readonly (ArtifactShape & { readonly table: PageTable })[]
}

export interface ArtifactShape {
  readonly size: number
  readonly frame_bytes: number
}

export interface Ask {
  readonly ask: 'query'
  readonly sql: string
}

/**
 * need: a frame into a slot; the thread sleeps until `ANSWERED` says how it went. columns, rows: of a query; after rows it sleeps until more are
 * wanted. refused, failed: how a query ended, or the opening. truncated: the artifact is cut.
 */
export type Report =
  | { readonly report: 'opened' }
  | { readonly report: 'unsupported'; readonly reason: string }
  | { readonly report: 'need'; readonly artifact: number; readonly frame: number; readonly slot: number }
  | { readonly report: 'columns'; readonly columns: readonly string[] }
  | { readonly report: 'rows'; readonly rows: readonly (readonly SqlValue[])[] }
  | { readonly report: 'done' }
  | { readonly report: 'refused'; readonly what: string }
  | { readonly report: 'failed'; readonly reason: string }

/** What the shared words say. */
export const WAITING = 0
export const GIVEN = 1
/** No more is to come: the frame cannot be had, or nobody wants further rows. */
export const ENDED = 2

const WORDS = 2
const WORD_BYTES = 64

/** Shared memory: a word that answers for frames, one for rows, then the slots. */
export class ReaderMemory {
  readonly words: Int32Array<SharedArrayBuffer>
  readonly #shared: SharedArrayBuffer
  readonly #slotBytes: number

  constructor({ shared, slot_bytes }: Pick<ReaderSetup, 'shared' | 'slot_bytes'>) {
    this.#shared = shared
    this.#slotBytes = slot_bytes
    this.words = new Int32Array(shared, 0, WORDS)
  }
  static allocate(slots: number, slotBytes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(WORD_BYTES + slots * slotBytes)
  }
  slot(n: number): Uint8Array {
    return new Uint8Array(this.#shared, WORD_BYTES + n * this.#slotBytes, this.#slotBytes)
  }
  /** Main thread: wakes whoever sleeps on it. */
  answer(word: 0 | 1, how: typeof GIVEN | typeof ENDED): void {
    Atomics.store(this.words, word, how)
    Atomics.notify(this.words, word)
  }
  /** Reading thread: `ask` sends the question; true when it was given. */
  sleep(word: 0 | 1, ask: () => void): boolean {
    Atomics.store(this.words, word, WAITING)
    ask()
    Atomics.wait(this.words, word, WAITING)
    return Atomics.load(this.words, word) === GIVEN
  }
}
export const FRAMES = 0
export const ROWS = 1
