import { expect, test } from 'vitest'
import { PostgresConfig, walHoldBytes } from '../config.ts'
import { isLocal, whereIs, type Address } from './address.ts'
import { parseServers, type Servers } from './servers.ts'

const servers = (url: string, service?: ReadonlyMap<string, string>): Servers => {
  const found = parseServers(url, service)
  if ('problem' in found) throw new Error(found.problem)
  return found
}
const read = (url: string): Address => servers(url).addresses[0]!
const hosts = (url: string): string[] => servers(url).addresses.map(whereIs)

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

test('several hosts are read in their order, each with its port', () => {
  expect(hosts('postgres://u:p@h1:5433,h2,[::1]:5434/db?target_session_attrs=primary')).toEqual([
    'h1:5433',
    'h2:5432',
    '[::1]:5434',
  ])
  expect(hosts('postgres://u@/db?host=h1,/tmp&port=6000')).toEqual(['h1:6000', '/tmp:6000'])
  expect(hosts('postgres://u@h1,h2/db?port=1,2')).toEqual(['h1:1', 'h2:2'])
  expect(servers('postgres://u@h1,127.0.0.1/db').addresses.map(({ sslmode }) => sslmode)).toEqual([
    'verify-full',
    'prefer',
  ])
  expect(servers('postgres://u@h/db?target_session_attrs=prefer-standby').wanted).toBe('prefer-standby')
})

test('a service says what the URL does not', () => {
  const service = new Map(Object.entries({ host: 'db.test', port: '6000', user: 'backup', dbname: 'clinic' }))
  expect(servers('postgres:///?service=clinic', service).addresses[0]).toMatchObject({
    host: 'db.test',
    port: 6000,
    user: 'backup',
    database: 'clinic',
  })
  expect(servers('postgres://me@other:7000/x?service=clinic', service).addresses[0]).toMatchObject({
    host: 'other',
    port: 7000,
    user: 'me',
    database: 'x',
  })
  expect(PostgresConfig.safeParse({ url: 'postgres:///?service=clinic' }).success).toBe(true)
  expect(parseServers('postgres:///?service=clinic', new Map())).toMatchObject({ problem: 'the URL names no host' })
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
  ['postgres://u@h1,h2/db?port=1,2,3', '2 hosts and 3 ports'],
  ['postgres://u@h1,,h2/db', 'names no host'],
  ['postgres://u@h:99999/db', 'the port'],
  ['postgres://u@h/db?target_session_attrs=master', 'target_session_attrs must be'],
  ['postgres://u@h/db?sslmode', 'not a URL'],
  ['postgres://u:%zz@h/db', 'not a URL'],
  ['postgres://u@h/db?connect_timeout=soon', 'connect_timeout'],
])('%s is refused with a reason', (url, reason) => {
  expect(parseServers(url)).toMatchObject({ problem: expect.stringContaining(reason) })
  expect(PostgresConfig.safeParse({ url }).success).toBe(false)
})

test('how much WAL a backup may hold is a size', () => {
  expect(walHoldBytes(PostgresConfig.parse({ url: 'postgres://u@h/db' }))).toBe(16_000_000_000n)
  expect(walHoldBytes(PostgresConfig.parse({ url: 'postgres://u@h/db', max_wal_hold: '1.5GiB' }))).toBe(1_610_612_736n)
})
