import { expect, test } from 'vitest'
import { setUp } from './set-up.ts'

const lines = (url: string): string[] => setUp({ url }).flatMap((step) => step.lines)

test('a role, its way in over TLS and the reload are told, names quoted where they must be', () => {
  expect(lines('postgres://Back-up@db1,db2/clinic')).toEqual(
    expect.arrayContaining([
      'CREATE ROLE "Back-up" WITH LOGIN REPLICATION;',
      'hostssl replication "Back-up" <address of the worker> scram-sha-256',
      'hostssl clinic "Back-up" <address of the worker> scram-sha-256',
      'SELECT pg_reload_conf();',
    ]),
  )
})

test('of several servers each is told to bound what its slot keeps', () => {
  const titles = (url: string): string =>
    setUp({ url })
      .map(({ title }) => title)
      .join()
  expect(titles('postgres://u@db1,db2/x')).toContain('a slot on each of these servers')
  expect(titles('postgres://u@db1/x')).not.toContain('on each of these servers')
  expect(lines('postgres://u@db1,db2/x')).toContain("ALTER SYSTEM SET max_slot_wal_keep_size = '16GB';")
})

test('a socket, a certificate and a service change the lines', () => {
  expect(lines('postgres://u@/db?host=/tmp')).toContain('local replication u peer')
  const badge = lines('postgres://u@db/x?sslcert=/c.pem&sslkey=/k.pem')
  expect(badge).toContain('hostssl replication u <address of the worker> cert')
  expect(badge.join()).not.toContain('password')
  expect(lines('postgres:///?service=clinic')).toContain('CREATE ROLE backup WITH LOGIN REPLICATION;')
})

test('no password of the URL is shown', () => {
  expect(lines('postgres://u:hunter2@db/x').join('\n')).not.toContain('hunter2')
})
