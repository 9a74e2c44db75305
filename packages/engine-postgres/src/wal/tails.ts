import { asSalvorError, type SalvorError } from '@salvor/shared/errors/salvor-error'
import { segmentAt, tailName, type WalContents, type WalPiece } from '@salvor/shared/vocabulary/wal'
import { Contents } from './contents.ts'
import type { WalSpool } from './spool.ts'

/** So many tails of one length are followed by one that covers them all: of a segment that fills for days, some dozens are left. */
const MERGED = 16
/** Weight of the last one in what is usual. */
const LEAN = 0.25
/** So few take longer that hardly a commit waits longer than it may, as TCP has it for its answers. */
const SPREADS = 4

export interface TailParts {
  readonly timeline: number
  readonly spool: WalSpool
  /** Where the first begins: all before it is stored. */
  readonly from: bigint
  facts(from: bigint, to: bigint): Omit<WalPiece, keyof WalContents | 'kind' | 'name' | 'current_at'>
  store(piece: WalPiece, content: () => AsyncIterable<Uint8Array>): Promise<void>
  /** Everything up to there is stored. */
  stored(to: bigint): void
  /** No repetition helps. */
  failed(error: SalvorError): void
}

interface Tail {
  readonly from: bigint
  readonly to: bigint
  /** It covers `MERGED ** level` of the shortest. */
  readonly level: number
  readonly contents: WalContents
}

/** Stores what is new of the segment at hand, piece by piece, and now and then one piece in the place of many. */
export class Tails {
  /** What keeps them from being stored; null: nothing. */
  trouble: SalvorError | null = null
  /** How long one takes to be stored, and how far that differs: means that lean to the last ones. */
  #usualMs = 0
  #spreadMs = 0
  /** What is new begins there. */
  #from: bigint
  #contents = new Contents()
  #written: readonly Tail[] = []
  #underWay: Promise<void> | null = null
  readonly #parts: TailParts

  constructor(parts: TailParts) {
    this.#parts = parts
    this.#from = parts.from
  }

  get busy(): boolean {
    return this.#underWay !== null
  }
  get from(): bigint {
    return this.#from
  }

  /** From the beginning of one to that of the next, so that no commit waits longer than `tailMs`, where the time is looked at every `lookMs`. */
  pauseMs(tailMs: number, lookMs: number): number {
    return Math.max(tailMs / 2, tailMs - lookMs - this.#usualMs - SPREADS * this.#spreadMs)
  }

  /** For what ends in bytes up to `reached`. One too many does no harm. */
  note(reached: bigint, act: (contents: Contents) => void): void {
    if (reached > this.#from) act(this.#contents)
  }

  /** The segment at hand is full, and goes to the store by itself. */
  segmentEnded(at: bigint): void {
    this.#from = at
    this.#contents = new Contents()
    this.#written = []
  }

  /** Does not wait, and never rejects. */
  start(to: bigint): void {
    this.#underWay ??= this.flush(to)
      .catch((thrown: unknown) => this.#failed(asSalvorError(thrown)))
      .finally(() => (this.#underWay = null))
  }

  async ended(): Promise<void> {
    await this.#underWay
  }

  /** Stores what is new up to `to`, which is in the spool. */
  async flush(to: bigint): Promise<void> {
    const { spool } = this.#parts
    const from = this.#from
    // A segment that is full goes by itself.
    if (to <= from || from < spool.start || to - spool.start >= BigInt(spool.segmentSize)) return
    const own = this.#contents
    this.#contents = new Contents()
    this.#from = to
    const { tail, kept } = this.#merged({ from, to, level: 0, contents: own.summary() })
    const begun = performance.now()
    try {
      await this.#store(tail)
    } catch (error) {
      // The segment is full meanwhile, and goes by itself: that it took its bytes out of the spool is no trouble.
      if (this.#isOvertaken(from, to)) return
      this.#from = from
      this.#contents = this.#contents.after(own.summary())
      throw error
    }
    this.trouble = null
    const beyond = performance.now() - begun - this.#usualMs
    this.#usualMs += LEAN * beyond
    this.#spreadMs += LEAN * (Math.abs(beyond) - this.#spreadMs)
    this.#parts.stored(to)
    if (!this.#isOvertaken(from, to)) this.#written = [...kept, tail]
  }

  #isOvertaken(from: bigint, to: bigint): boolean {
    return this.#from !== to || from < this.#parts.spool.start
  }

  /** With the run of equal ones before it, once that is long enough; and so on. */
  #merged(newest: Tail): { readonly tail: Tail; readonly kept: readonly Tail[] } {
    let tail = newest
    let kept = this.#written
    for (;;) {
      const { level } = tail
      const run = kept.slice(kept.findLastIndex((one) => one.level !== level) + 1)
      if (run.length < MERGED - 1) return { tail, kept }
      kept = kept.slice(0, -run.length)
      const contents = new Contents()
      const all = [...run, tail].reduceRight((later, one) => later.after(one.contents), contents)
      tail = { from: run[0]!.from, to: tail.to, level: level + 1, contents: all.summary() }
    }
  }

  async #store({ from, to, contents }: Tail): Promise<void> {
    const { spool, timeline } = this.#parts
    const name = tailName(segmentAt(timeline, from, spool.segmentSize), to)
    const piece: WalPiece = { ...this.#parts.facts(from, to), ...contents, kind: 'tail', name, current_at: null }
    await this.#parts.store(piece, () => spool.read(timeline, from, to))
  }

  #failed(error: SalvorError): void {
    if (error.retryable || error.code === 'INTERNAL') this.trouble = error
    else this.#parts.failed(error)
  }
}
