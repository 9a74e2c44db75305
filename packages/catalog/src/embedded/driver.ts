import { setTimeout as sleep } from 'node:timers/promises'
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely'
import type { Answer, Side, Statement } from './messages.ts'
import { EmbeddedError, type ThreadClient } from './thread-client.ts'

const BUSY_LIMIT_MS = 10_000
/** Short steps: the gap between two transactions of a busy neighbour is a fraction of a millisecond. */
const LONGEST_STEP_MS = 5
/** Inserts at most that wait for an answered statement. */
const MOST_WAITING = 64

/**
 * One side of the thread as a kysely driver; kysely itself lets one user at a time have the connection. A write
 * transaction takes the write lock with its first statement, so it never fails in its middle because of another process.
 */
export function embeddedDriver(thread: ThreadClient, side: Side): Driver {
  const connection = new EmbeddedConnection(thread, side)
  return {
    init: async () => undefined,
    acquireConnection: async () => connection,
    beginTransaction: async () => connection.begin(side === 'write' ? 'begin immediate' : 'begin'),
    commitTransaction: () => connection.commit(),
    rollbackTransaction: () => connection.rollback(),
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

/**
 * A way to the thread and back costs more than most statements. So the beginning of a transaction, and the rows that it inserts, wait for the
 * next statement that has an answer, its commit at the latest: an error of theirs is that statement's.
 */
class EmbeddedConnection implements DatabaseConnection {
  readonly #thread: ThreadClient
  readonly #side: Side
  #inTransaction = false
  /** It begins with the transaction's own beginning until that was sent. */
  #waiting: Statement[] = []
  #isBegun = false

  constructor(thread: ThreadClient, side: Side) {
    this.#thread = thread
    this.#side = side
  }

  begin(sql: string): void {
    this.#inTransaction = true
    this.#isBegun = false
    this.#waiting = [{ sql, parameters: [] }]
  }
  async commit(): Promise<void> {
    await this.#ask({ sql: 'commit', parameters: [] })
    this.#inTransaction = false
  }
  async rollback(): Promise<void> {
    this.#inTransaction = false
    this.#waiting = []
    await this.#thread.ask({ op: 'rollback', side: this.#side })
  }

  async executeQuery<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
    const isPlainInsert = query.kind === 'InsertQueryNode' && query.returning === undefined
    if (this.#inTransaction && isPlainInsert && this.#waiting.length < MOST_WAITING) {
      this.#waiting.push({ sql, parameters })
      return { rows: [] }
    }
    const answer = await this.#ask({ sql, parameters })
    return { rows: objectsOf(answer) as R[], numAffectedRows: BigInt(answer.changes) }
  }

  async #ask(statement: Statement): Promise<Answer> {
    const before = this.#waiting
    const ask = (): Promise<Answer> => this.#thread.ask({ op: 'query', side: this.#side, before, ...statement })
    this.#waiting = []
    if (!this.#inTransaction || this.#isBegun) return ask()
    // Refused by another process's lock, it has begun nothing.
    const answer = await whenFree(ask)
    this.#isBegun = true
    return answer
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
