import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { expect, test } from 'vitest'
import { EmbeddedError } from './embedded/thread-client.ts'
import { translateEmbedded } from './embedded/translate.ts'
import { isPostgresConflict, translatePostgres } from './postgres-errors.ts'

const codeOf = (error: unknown) => (error instanceof SalvorError ? error.code : error)
const server = (code: string) => Object.assign(new Error('from the server'), { code, detail: 'Key (name)=(a patient)' })

test('what SQLite says becomes an error of the catalog', () => {
  const cases = {
    SQLITE_FULL: 'CATALOG_FULL',
    SQLITE_IOERR_SHMSIZE: 'CATALOG_FULL',
    SQLITE_CORRUPT: 'CATALOG_DAMAGED',
    SQLITE_CORRUPT_INDEX: 'CATALOG_DAMAGED',
    SQLITE_NOTADB: 'CATALOG_DAMAGED',
    SQLITE_BUSY: 'CATALOG_UNREACHABLE',
    SQLITE_BUSY_RECOVERY: 'CATALOG_UNREACHABLE',
    SQLITE_IOERR_WRITE: 'CATALOG_UNREACHABLE',
    SQLITE_READONLY_DBMOVED: 'CATALOG_UNREACHABLE',
    SQLITE_CANTOPEN: 'CATALOG_UNREACHABLE',
    SALVOR_THREAD: 'CATALOG_UNREACHABLE',
    SQLITE_CONSTRAINT_UNIQUE: 'INTERNAL',
    SQLITE_ERROR: 'INTERNAL',
  }
  for (const [code, expected] of Object.entries(cases)) {
    expect([code, codeOf(translateEmbedded(new EmbeddedError(code, 'text')))]).toEqual([code, expected])
  }
})
test('what PostgreSQL says becomes an error of the catalog, without the rows of its DETAIL', () => {
  const cases = {
    '53100': 'CATALOG_FULL',
    '08006': 'CATALOG_UNREACHABLE',
    '57P01': 'CATALOG_UNREACHABLE',
    '28P01': 'CATALOG_UNREACHABLE',
    '3D000': 'CATALOG_UNREACHABLE',
    '25006': 'CATALOG_UNREACHABLE',
    '55P03': 'CATALOG_UNREACHABLE',
    '53300': 'CATALOG_UNREACHABLE',
    '40P01': 'CATALOG_UNREACHABLE',
    '23505': 'INTERNAL',
    '42P01': 'INTERNAL',
    '42501': 'CATALOG_UNREACHABLE',
    ECONNREFUSED: 'CATALOG_UNREACHABLE',
  }
  for (const [code, expected] of Object.entries(cases)) {
    const error = translatePostgres(server(code))
    expect([code, codeOf(error)]).toEqual([code, expected])
    expect(String(error)).not.toContain('patient')
  }
})
test('only a conflict with another transaction is worth another try', () => {
  expect(['40001', '40P01'].map((code) => isPostgresConflict(translatePostgres(server(code))))).toEqual([true, true])
  expect(['23505', '57P01', '08006'].some((code) => isPostgresConflict(translatePostgres(server(code))))).toBe(false)
})
test('errors of the caller and bugs pass unchanged', () => {
  for (const error of [new SalvorError('LEASE_LOST', { run: 'r' }), new TypeError('bug'), 'text']) {
    expect(translatePostgres(error)).toBe(error)
    expect(translateEmbedded(error)).toBe(error)
  }
})
test('a host with several addresses names why each failed', () => {
  const refused = new AggregateError([new Error('connect ECONNREFUSED ::1:5432'), new Error('connect ETIMEDOUT')], '')
  expect(translatePostgres(refused)).toMatchObject({
    message: 'The catalog cannot be reached: connect ECONNREFUSED ::1:5432, connect ETIMEDOUT',
  })
})
