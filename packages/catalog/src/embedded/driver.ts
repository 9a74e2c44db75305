import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery, type DatabaseConnection, type Driver, type QueryResult } from 'kysely'
import type { Answer, Side } from './messages.ts'
import { EmbeddedError, type ThreadClient } from './thread-client.ts'

const BUSY_LIMIT_MS = 10_000
/** Short steps: the gap between two transactions of a busy neighbour is a fraction of a millisecond. */
const LONGEST_STEP_MS = 5

/**
 * One side of the thread as a kysely driver; kysely itself lets one user at a time have the connection. A write
 * transaction takes the write lock at its beginning, so it never fails in its middle because of another process.
 */
export function embeddedDriver(thread: ThreadClient, side: Side): Driver {
  const connection = new EmbeddedConnection(thread, side)
  const run = async (sql: string): Promise<void> => void (await connection.executeQuery(CompiledQuery.raw(sql)))
  return {
    init: async () => undefined,
    acquireConnection: async () => connection,
    beginTransaction: () => (side === 'write' ? whenFree(() => run('begin immediate')) : run('begin')),
    commitTransaction: () => run('commit'),
    rollbackTransaction: async () => void (await thread.ask({ op: 'rollback', side })),
    releaseConnection: async () => undefined,
    destroy: async () => undefined,
  }
}

/**
 * Repeats what another process's lock refused, up to 10 s. The wait is here and not in SQLite's busy handler, which
 * would hold up the reads of this process on the same thread.
 */
export async function whenFree<T>(work: () => Promise<T>): Promise<T> {
  const began = performance.now()
  for (let step = 1; ; step = Math.min(step + 1, LONGEST_STEP_MS)) {
    try {
      return await work()
    } catch (error) {
      if (!isBusy(error) || performance.now() - began >= BUSY_LIMIT_MS) throw error
    }
    await sleep(step)
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof EmbeddedError && error.code.startsWith('SQLITE_BUSY')
}

class EmbeddedConnection implements DatabaseConnection {
  readonly #thread: ThreadClient
  readonly #side: Side

  constructor(thread: ThreadClient, side: Side) {
    this.#thread = thread
    this.#side = side
  }
  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const answer = await this.#thread.ask({ op: 'query', side: this.#side, sql, parameters })
    return { rows: objectsOf(answer) as R[], numAffectedRows: BigInt(answer.changes) }
  }
  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('the embedded catalog is read in pages, not in streams')
  }
}

function objectsOf({ columns, rows }: Answer): object[] {
  return rows.map((values) => {
    const row: Record<string, unknown> = {}
    for (let index = 0; index < columns.length; index += 1) row[columns[index]!] = values[index]
    return row
  })
}
