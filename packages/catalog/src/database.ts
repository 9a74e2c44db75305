import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Cause, Holder } from '@salvor/shared/ports/catalog'
import type { Ids } from '@salvor/shared/ports/clock'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { type Kysely, sql, type Transaction } from 'kysely'
import { appendAudit } from './audit.ts'
import type { CatalogDialect } from './dialect.ts'
import type { Scope } from './scope.ts'
import type { Tables } from './tables.ts'

const WORK_LIMIT_MS = 30_000
const CONFLICT_TRIES = 12

export interface DatabaseOptions {
  readonly ids: Ids
  readonly holderAlive: (holder: Holder) => boolean | null
}

/** The catalog's own doings, when no service is the cause. */
const ITSELF: Cause = { service: 'cli' }

/** Reads of committed rows, and write transactions that hold or vanish as one. */
export class Database {
  readonly dialect: CatalogDialect
  readonly holderAlive: (holder: Holder) => boolean | null
  readonly #ids: Ids
  readonly #inside = new AsyncLocalStorage<Scope>()

  constructor(dialect: CatalogDialect, options: DatabaseOptions) {
    this.dialect = dialect
    this.holderAlive = options.holderAlive
    this.#ids = options.ids
  }

  get reads(): Kysely<Tables> {
    return this.dialect.reads
  }

  /** Several reads that see one and the same state. */
  snapshot<T>(work: (db: Kysely<Tables>) => Promise<T>): Promise<T> {
    return this.reads
      .transaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute((db) => work(db))
  }

  /**
   * Runs `work` in a write transaction, and once more when another transaction was in its way. It is rolled back when
   * `work` throws, when one of its writes failed, when it takes longer than 30 s, or when the connection dies.
   */
  async write<T>(work: (scope: Scope) => Promise<T>, cause: Cause = ITSELF): Promise<T> {
    if (this.#inside.getStore()?.open) {
      throw new SalvorError('INTERNAL', { what: 'a transaction of the catalog was begun inside another one' })
    }
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#once(work, cause)
      } catch (error) {
        if (tries >= CONFLICT_TRIES || !this.dialect.isConflict(error)) throw error
      }
      await sleep(tries * 5)
    }
  }

  #once<T>(work: (scope: Scope) => Promise<T>, cause: Cause): Promise<T> {
    return this.dialect.writes
      .transaction()
      .setIsolationLevel('read committed')
      .execute(async (db) => {
        const scope = await this.#scope(db, cause)
        try {
          const result = await this.#inside.run(scope, () => limited(work(scope)))
          scope.open = false
          if (scope.failure === null && scope.audits.length > 0) await appendAudit(scope)
          if (scope.failure !== null) throw scope.failure.error
          return result
        } catch (error) {
          throw scope.failure === null ? error : scope.failure.error
        } finally {
          scope.open = false
        }
      })
  }

  async #scope(db: Transaction<Tables>, cause: Cause): Promise<Scope> {
    const { clock, rowLocks } = this.dialect
    const shared = { cause, ids: this.#ids, rowLocks, holderAlive: this.holderAlive }
    return { ...shared, db, now: await clockOf(db, clock), audits: [], open: true, failure: null }
  }

  now(): Promise<Instant> {
    return clockOf(this.reads, this.dialect.clock)
  }
  close(): Promise<void> {
    return this.dialect.close()
  }
}

async function clockOf(db: Kysely<Tables>, clock: CatalogDialect['clock']): Promise<Instant> {
  const { rows } = await sql<{ now: string }>`select ${clock} as now`.execute(db)
  return rows[0]!.now
}

/** A transaction that waits for something that never comes would hold up every other one. */
async function limited<T>(work: Promise<T>): Promise<T> {
  const done = new AbortController()
  const tooLong = sleep(WORK_LIMIT_MS, undefined, { signal: done.signal, ref: false }).then(() => {
    throw new SalvorError('INTERNAL', { what: `a transaction of the catalog took longer than ${WORK_LIMIT_MS} ms` })
  })
  try {
    return await Promise.race([work, tooLong])
  } finally {
    done.abort()
  }
}
