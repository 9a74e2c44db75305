import { expect, test } from 'vitest'
import { isLocal, parseAddress, whereIs, type Address } from './address.ts'
import { PostgresConfig, walHoldBytes } from './config.ts'

const read = (url: string): Address => {
  const address = parseAddress(url)
  if ('problem' in address) throw new Error(address.problem)
  return address
}

test('a URL is read as libpq reads it', () => {
  expect(read('postgresql://al%40ice:p%2Fw@db.test:6543/clinic?sslmode=require&connect_timeout=5')).toMatchObject({
    host: 'db.test',
    port: 6543,
    user: 'al@ice',
    password: 'p/w',
    database: 'clinic',
    sslmode: 'require',
    connectSeconds: 5,
  })
  expect(read('postgres://u@/db?host=/var/run/postgresql')).toMatchObject({ host: '/var/run/postgresql', port: 5432 })
  expect(read('postgres://u@%2Fvar%2Frun%2Fpostgresql/db').host).toBe('/var/run/postgresql')
  expect(whereIs(read('postgres://u:secret@[::1]:5433/db'))).toBe('[::1]:5433')
})

test('a server on another machine must prove who it is unless the URL says otherwise', () => {
  expect(read('postgres://u@db.test/x').sslmode).toBe('verify-full')
  expect(read('postgres://u@127.0.0.1/x').sslmode).toBe('prefer')
  expect(read('postgres://u@localhost/x').sslmode).toBe('prefer')
  expect(['127.0.0.1', '::1', '/tmp', '127.evil.test', '10.0.0.1'].map(isLocal)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ])
})

test.each([
  ['mysql://u@h/db', 'not a URL'],
  ['postgres://h/db', 'names no user'],
  ['postgres://u@/db', 'names no host'],
  ['postgres://u@h/db?sslmod=require', 'unknown option sslmod'],
  ['postgres://u@h/db?sslmode=maybe', 'sslmode must be'],
  ['postgres://u@h/db?host=a,b', 'several hosts'],
  ['postgres://u@h/db?connect_timeout=soon', 'connect_timeout'],
])('%s is refused with a reason', (url, reason) => {
  expect(parseAddress(url)).toMatchObject({ problem: expect.stringContaining(reason) })
  expect(PostgresConfig.safeParse({ url }).success).toBe(false)
})

test('how much WAL a backup may hold is a size', () => {
  expect(walHoldBytes(PostgresConfig.parse({ url: 'postgres://u@h/db' }))).toBe(16_000_000_000n)
  expect(walHoldBytes(PostgresConfig.parse({ url: 'postgres://u@h/db', max_wal_hold: '1.5GiB' }))).toBe(1_610_612_736n)
})
