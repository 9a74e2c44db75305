import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely'

type Translate = (error: unknown) => unknown

/**
 * A driver whose connections end with their transaction: a statement that comes late (from a branch of a Promise.all
 * that had failed) is refused, instead of slipping into the next transaction on that connection. Errors of the database
 * leave it translated. A rollback that fails stays silent: the connection is gone, and the first error says why.
 */
export function leased(inner: Driver, translate: Translate): Driver {
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw translate(error)
    }
  }
  return {
    init: () => attempt(() => inner.init()),
    acquireConnection: () => attempt(async () => new Lease(await inner.acquireConnection(), translate)),
    beginTransaction: (lease, settings) => attempt(() => inner.beginTransaction(connectionOf(lease), settings)),
    commitTransaction: (lease) => attempt(() => inner.commitTransaction(ended(lease))),
    rollbackTransaction: (lease) => inner.rollbackTransaction(ended(lease)).catch(() => undefined),
    releaseConnection: (lease) => inner.releaseConnection(ended(lease)),
    destroy: () => inner.destroy(),
  }
}

class Lease implements DatabaseConnection {
  readonly connection: DatabaseConnection
  readonly #translate: Translate
  ended = false

  constructor(connection: DatabaseConnection, translate: Translate) {
    this.connection = connection
    this.#translate = translate
  }
  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.ended) throw new SalvorError('INTERNAL', { what: 'a statement came after its transaction had ended' })
    try {
      return await this.connection.executeQuery<R>(query)
    } catch (error) {
      throw this.#translate(error)
    }
  }
  streamQuery<R>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    return this.connection.streamQuery<R>(query, chunkSize)
  }
}

function connectionOf(lease: DatabaseConnection): DatabaseConnection {
  return (lease as Lease).connection
}

function ended(lease: DatabaseConnection): DatabaseConnection {
  ;(lease as Lease).ended = true
  return connectionOf(lease)
}
