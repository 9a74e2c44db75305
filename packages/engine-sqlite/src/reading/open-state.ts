import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactFrames } from '@salvor/shared/ports/artifact'
import type { EngineContext } from '@salvor/shared/ports/engine'
import type { QueryPart, StateReader, StoredState } from '@salvor/shared/ports/reading'
import { layChanges } from './laid-changes.ts'
import { ReaderMemory, type ReaderSetup } from './messages.ts'
import { readPageTable } from './page-table.ts'
import { ReadingThread } from './reading-thread.ts'

/** What a reader keeps of frames, besides SQLite's own cache of 16 MiB. */
const CACHE_BYTES = 32 << 20
const LEAST_SLOTS = 4

/** Opens a stored state of a SQLite database for SQL. Of a chain, the page numbers of every increment are read here, and change sets whole. */
export async function openState(
  context: EngineContext,
  { full, increments, changes = [] }: StoredState,
  signal: AbortSignal,
): Promise<StateReader> {
  await using opened = new AsyncDisposableStack()
  const tables = await Promise.all(
    increments.map(async (frames) => ({ ...shape(frames), table: await readPageTable(frames, signal) })),
  )
  const laid = changes.length === 0 ? null : opened.use(await layChanges(context, changes, signal))
  if (laid) tables.push({ ...shape(laid.frames), table: laid.table })
  const artifacts = [full, ...increments, ...(laid ? [laid.frames] : [])]
  const slotBytes = Math.max(...artifacts.map(({ frame_bytes }) => frame_bytes))
  const slots = Math.max(LEAST_SLOTS, Math.floor(CACHE_BYTES / slotBytes))
  const setup = (): ReaderSetup => ({
    shared: ReaderMemory.allocate(slots, slotBytes),
    slots,
    slot_bytes: slotBytes,
    full: shape(full),
    increments: tables,
  })
  const start = () => ReadingThread.start(context.source, setup(), artifacts, signal)
  const thread = await start()
  return new SqliteState(thread, start, opened.move())
}

function shape({ size, frame_bytes }: ArtifactFrames) {
  return { size, frame_bytes }
}

class SqliteState implements StateReader {
  readonly #start: () => Promise<ReadingThread>
  readonly #kept: AsyncDisposableStack
  #thread: ReadingThread | null
  #busy = false

  constructor(thread: ReadingThread, start: () => Promise<ReadingThread>, kept: AsyncDisposableStack) {
    this.#kept = kept
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
    await this.#kept.disposeAsync()
  }

  async #end(): Promise<void> {
    const thread = this.#thread
    this.#thread = null
    await thread?.[Symbol.asyncDispose]()
  }
}
