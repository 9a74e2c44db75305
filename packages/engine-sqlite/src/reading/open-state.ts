import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactFrames } from '@salvor/shared/ports/artifact'
import type { QueryPart, StateReader, StoredState } from '@salvor/shared/ports/reading'
import { ReaderMemory, type ReaderSetup } from './messages.ts'
import { readPageTable } from './page-table.ts'
import { ReadingThread } from './reading-thread.ts'

/** What a reader keeps of frames, besides SQLite's own cache of 16 MiB. */
const CACHE_BYTES = 32 << 20
const LEAST_SLOTS = 4

/** Opens a stored state of a SQLite database for SQL. Of a chain, the page numbers of every increment are read here. */
export async function openState(
  source: string,
  { full, increments }: StoredState,
  signal: AbortSignal,
): Promise<StateReader> {
  const slotBytes = Math.max(...[full, ...increments].map(({ frame_bytes }) => frame_bytes))
  const slots = Math.max(LEAST_SLOTS, Math.floor(CACHE_BYTES / slotBytes))
  const tables = await Promise.all(
    increments.map(async (frames) => ({ ...shape(frames), table: await readPageTable(frames, signal) })),
  )
  const setup = (): ReaderSetup => ({
    shared: ReaderMemory.allocate(slots, slotBytes),
    slots,
    slot_bytes: slotBytes,
    full: shape(full),
    increments: tables,
  })
  const start = () => ReadingThread.start(source, setup(), [full, ...increments], signal)
  return new SqliteState(await start(), start)
}

function shape({ size, frame_bytes }: ArtifactFrames) {
  return { size, frame_bytes }
}

class SqliteState implements StateReader {
  readonly #start: () => Promise<ReadingThread>
  #thread: ReadingThread | null
  #busy = false

  constructor(thread: ReadingThread, start: () => Promise<ReadingThread>) {
    this.#thread = thread
    this.#start = start
  }

  async *query(sql: string, signal: AbortSignal): AsyncGenerator<QueryPart, void, undefined> {
    if (this.#busy) throw new SalvorError('INTERNAL', { what: 'two queries of one state at once' })
    if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
    this.#busy = true
    const thread = (this.#thread ??= await this.#start())
    // SQLite may be deep in work: only the end of its thread stops it. The next query gets another one.
    const stop = (): void => void this.#end()
    signal.addEventListener('abort', stop, { once: true })
    try {
      yield* thread.query(sql)
    } catch (error) {
      if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
      if (thread.dead) await this.#end()
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
      this.#busy = false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
  }

  async #end(): Promise<void> {
    const thread = this.#thread
    this.#thread = null
    await thread?.[Symbol.asyncDispose]()
  }
}
