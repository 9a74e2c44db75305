import { CompiledQuery, type DatabaseConnection, type Driver } from 'kysely'
import { expect, test } from 'vitest'
import { leased } from './leased-connection.ts'

const query = CompiledQuery.raw('select 1')

/** A driver of one connection that notes what reached it. */
function noting(rollback: () => Promise<void>): { driver: Driver; seen: string[] } {
  const seen: string[] = []
  const connection: DatabaseConnection = {
    executeQuery: async ({ sql }) => {
      seen.push(sql)
      if (sql === 'broken') throw new Error('driver text')
      return { rows: [] }
    },
    streamQuery: async function* () {},
  }
  const note = async (what: string) => void seen.push(what)
  const driver: Driver = {
    init: async () => undefined,
    acquireConnection: async () => connection,
    beginTransaction: () => note('begin'),
    commitTransaction: () => note('commit'),
    rollbackTransaction: rollback,
    releaseConnection: async () => undefined,
    destroy: async () => undefined,
  }
  return { driver, seen }
}

test('a statement that comes while its transaction is rolled back is refused', async () => {
  const { promise: done, resolve: finish } = Promise.withResolvers<void>()
  const { driver, seen } = noting(() => done)
  const wrapped = leased(driver, (error) => error)
  const connection = await wrapped.acquireConnection()
  await wrapped.beginTransaction(connection, {})
  const rolledBack = wrapped.rollbackTransaction(connection)
  await expect(connection.executeQuery(query)).rejects.toThrow('after its transaction had ended')
  finish()
  await rolledBack
  expect(seen).toEqual(['begin'])
})
test('the next user of a connection is not disturbed by the one before', async () => {
  const { driver, seen } = noting(async () => undefined)
  const wrapped = leased(driver, (error) => error)
  const first = await wrapped.acquireConnection()
  await wrapped.releaseConnection(first)
  const second = await wrapped.acquireConnection()
  await second.executeQuery(query)
  await expect(first.executeQuery(query)).rejects.toThrow('after its transaction had ended')
  expect(seen).toEqual(['select 1'])
})
test('errors leave translated, and a rollback that fails does not hide the first one', async () => {
  const { driver } = noting(() => Promise.reject(new Error('the connection is gone')))
  const wrapped = leased(driver, () => new Error('translated'))
  const connection = await wrapped.acquireConnection()
  await expect(connection.executeQuery(CompiledQuery.raw('broken'))).rejects.toThrow('translated')
  await expect(wrapped.rollbackTransaction(connection)).resolves.toBeUndefined()
})
