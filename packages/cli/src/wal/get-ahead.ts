import { availableParallelism } from 'node:os'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { segmentAt, type StoredWal } from '@salvor/shared/vocabulary/wal'
import { fetchTo, getFile, segmentNamed, type GetTarget } from './get-file.ts'

/** Segments that are fetched beyond the one that was asked for. */
const AHEAD = 8
const AT_ONCE = Math.min(4, availableParallelism())

/** Fetches what it is asked for, and meanwhile the segments behind it. */
export class GetAhead {
  readonly #target: GetTarget
  readonly #signal: AbortSignal
  /** Being fetched, by name. */
  readonly #running = new Map<string, Promise<void>>()
  /** Fetched, or failed: what fails is told at its own call. */
  readonly #tried = new Set<string>()
  #from: StoredWal | null = null
  #asked = ''
  #going: Promise<void> | null = null

  constructor(target: GetTarget, signal: AbortSignal) {
    this.#target = target
    this.#signal = signal
  }

  get source(): string {
    return this.#target.source
  }

  /** The number of pieces that the file was made of. WAL_MISSING: no store has it. */
  async get(name: string, path: string): Promise<number> {
    this.#asked = name
    await this.#running.get(name)
    const pieces = await getFile(this.#target, name, path, this.#signal)
    this.#tried.delete(name)
    const [first] = pieces
    if (first.kind === 'segment') {
      this.#from = first
      this.#going ??= this.#goOn().finally(() => (this.#going = null))
    }
    return pieces.length
  }

  /** Resolves when nothing is being fetched any more. */
  async ended(): Promise<void> {
    this.#from = null
    await this.#going
    await Promise.all(this.#running.values())
  }

  /** Never rejects. */
  async #goOn(): Promise<void> {
    try {
      while (this.#from !== null && !this.#signal.aborted) {
        const from = this.#from
        this.#from = null
        const next = await followers(this.#target, from)
        await this.#target.fetched.keepOnly(next)
        for (const name of this.#tried) if (!next.some((piece) => piece.name === name)) this.#tried.delete(name)
        for (const piece of next) {
          while (this.#running.size >= AT_ONCE) await Promise.race(this.#running.values())
          if (this.#from !== null) break
          if (!this.#tried.has(piece.name) && piece.name !== this.#asked) this.#start(piece)
        }
      }
    } catch {
      // What is not here is fetched at its own call, which tells why it cannot be.
    }
  }

  #start(piece: StoredWal): void {
    this.#tried.add(piece.name)
    const work = this.#target.fetched
      .add(piece, (path) => fetchTo(this.#target, [piece], path, this.#signal))
      .catch(() => undefined)
      .finally(() => this.#running.delete(piece.name))
    this.#running.set(piece.name, work)
  }
}

/** The whole segments behind one, without a hole. */
export async function followers(
  target: GetTarget,
  { timeline, end_lsn, segment_size }: StoredWal,
): Promise<readonly StoredWal[]> {
  const found: StoredWal[] = []
  if (end_lsn === null || segment_size === null) return found
  for (let at = lsnValue(end_lsn); found.length < AHEAD; at += BigInt(segment_size)) {
    const piece = await segmentNamed(target, segmentAt(timeline, at, segment_size))
    if (piece === null) break
    found.push(piece)
  }
  return found
}
