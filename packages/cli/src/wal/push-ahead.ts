import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { parseWalName } from '@salvor/shared/vocabulary/wal'
import { pushFile, type PushTarget } from './push-file.ts'
import { markOf } from './same-file.ts'

const READY = '.ready'
/** Files that are stored, or being stored, and not asked for yet. */
const AHEAD = 16
const AT_ONCE = Math.min(4, availableParallelism())

/** Files beside this one that the server will hand over next, the oldest first; none where it lies in no pg_wal. */
export async function readyBeside(file: string): Promise<readonly string[]> {
  const own = basename(file)
  const found = await readdir(join(dirname(file), 'archive_status')).catch((): string[] => [])
  const names = found.filter((one) => one.endsWith(READY)).map((one) => one.slice(0, -READY.length))
  return names.filter((one) => one !== own && parseWalName(one) !== null).toSorted()
}

export interface Pushed {
  readonly size_bytes: number
  /** It was stored before it was asked for. */
  readonly ahead: boolean
}

interface Ahead {
  /** Of the file before it was read; null: it was changed meanwhile, or too lately to be sure. */
  mark: string | null
  readonly stored: Promise<number>
}

/**
 * Stores what it is asked for, and meanwhile what the server will hand over next. What was stored ahead is acknowledged at its own
 * call only, and only while the file system says that it is the very file that was read; else its bytes are compared with the stored ones.
 */
export class PushAhead {
  readonly #target: PushTarget
  readonly #signal: AbortSignal
  /** By path. */
  readonly #ahead = new Map<string, Ahead>()
  #next: readonly string[] = []
  #running = 0
  #looking: Promise<void> | null = null

  constructor(target: PushTarget, signal: AbortSignal) {
    this.#target = target
    this.#signal = signal
  }

  get source(): string {
    return this.#target.settings.name
  }
  get store(): string {
    return this.#target.store
  }

  /** As `pushFile`. Two calls for one file at once are two: the second one finds what the first one stored. */
  async push(file: string): Promise<Pushed> {
    this.#next = this.#next.filter((path) => path !== file)
    const pushed = (await this.#take(file)) ?? { size_bytes: await this.#store(file), ahead: false }
    this.#goOn(file)
    return pushed
  }

  /** Resolves when nothing is being stored any more. */
  async ended(): Promise<void> {
    this.#next = []
    await Promise.allSettled([this.#looking, ...[...this.#ahead.values()].map(({ stored }) => stored)])
  }

  async #take(file: string): Promise<Pushed | null> {
    const known = this.#ahead.get(file)
    if (!known) return null
    this.#ahead.delete(file)
    // What failed there is told here, by trying again.
    const size_bytes = await known.stored.catch(() => null)
    if (size_bytes === null || known.mark === null || known.mark !== (await markOf(file)).mark) return null
    return { size_bytes, ahead: true }
  }

  async #store(file: string): Promise<number> {
    return (await pushFile(this.#target, file, this.#signal)).size_bytes
  }

  /** In the background. */
  #goOn(file: string): void {
    if (this.#next.length === 0) this.#looking ??= this.#look(file).finally(() => (this.#looking = null))
    this.#fill()
  }

  async #look(file: string): Promise<void> {
    const ready = (await readyBeside(file)).map((name) => join(dirname(file), name))
    const wanted = new Set(ready)
    for (const path of this.#ahead.keys()) if (!wanted.has(path)) this.#ahead.delete(path)
    this.#next = ready.filter((path) => !this.#ahead.has(path))
    this.#fill()
  }

  #fill(): void {
    while (this.#next.length > 0 && this.#running < AT_ONCE && this.#ahead.size < AHEAD && !this.#signal.aborted) {
      const [path = '', ...rest] = this.#next
      this.#next = rest
      this.#running += 1
      const entry: Ahead = { mark: null, stored: this.#storeAhead(path, (mark) => (entry.mark = mark)) }
      this.#ahead.set(path, entry)
      void entry.stored
        .catch(() => (this.#next = []))
        .finally(() => {
          this.#running -= 1
          this.#fill()
        })
    }
  }

  async #storeAhead(path: string, marked: (mark: string) => void): Promise<number> {
    const before = await markOf(path)
    const size = await this.#store(path)
    if (before.settled && before.mark === (await markOf(path)).mark) marked(before.mark)
    return size
  }
}
