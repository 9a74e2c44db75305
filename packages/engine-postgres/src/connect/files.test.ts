import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findPassword, withPassword } from './password.ts'
import { parseServers, type Servers } from './servers.ts'
import { parseServices, readService } from './service-file.ts'

let home = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'salvor-connect-'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

const address = (url: string) => (parseServers(url) as Servers).addresses[0]!
const places = (more: object = {}) => ({ source: 'clinic', passwordFile: null, passfile: null, home, ...more })

test('the first line of a password file that fits counts', () => {
  const text = [
    '# db.test:5432:clinic:backup:comment',
    'db.test:5433:clinic:backup:other port',
    '',
    'nonsense',
    'db.test:5432:replication:backup:for\\:copies\\\\',
    '*:*:*:backup:any',
  ].join('\n')
  const wanted = { host: 'db.test', port: 5432, database: 'replication', user: 'backup' }
  expect(findPassword(text, wanted)).toBe('for:copies\\')
  expect(findPassword(text, { ...wanted, database: 'clinic' })).toBe('any')
  expect(findPassword(text, { ...wanted, user: 'nobody' })).toBeNull()
  expect(
    findPassword('localhost:5432:*:u:of the socket\r\n', { host: '/tmp', port: 5432, database: 'x', user: 'u' }),
  ).toBe('of the socket')
})

test('~/.pgpass is read where it is private, and said to be ignored where it is not', async () => {
  const file = join(home, '.pgpass')
  writeFileSync(file, '127.0.0.1:5432:replication:u:old\n', { mode: 0o600 })
  const url = address('postgres://u@127.0.0.1/db')
  expect((await withPassword(url, places(), 'replication')).password).toBe('old')
  writeFileSync(file, '127.0.0.1:5432:replication:u:rotated\n')
  expect((await withPassword(url, places(), 'replication')).password).toBe('rotated')
  expect(await withPassword(url, places(), 'db')).toMatchObject({
    password: null,
    passwordLack: expect.stringContaining('no line'),
  })
  chmodSync(file, 0o644)
  expect(await withPassword(url, places(), 'replication')).toMatchObject({
    password: null,
    passwordLack: expect.stringContaining('chmod 600'),
  })
  expect(await withPassword(url, places({ home: null }), 'replication')).toBe(url)
})

test('what the URL says goes before password_file, and that before .pgpass', async () => {
  writeFileSync(join(home, '.pgpass'), '*:*:*:*:of pgpass\n', { mode: 0o600 })
  const passwordFile = join(home, 'password')
  writeFileSync(passwordFile, 'of the file\n')
  const url = address('postgres://u@127.0.0.1/db')
  expect((await withPassword(url, places({ passwordFile }), 'db')).password).toBe('of the file')
  const said = address('postgres://u:said@127.0.0.1/db')
  expect((await withPassword(said, places({ passwordFile }), 'db')).password).toBe('said')
  writeFileSync(passwordFile, '')
  await expect(withPassword(url, places({ passwordFile }), 'db')).rejects.toMatchObject({ code: 'SECRET_MISSING' })
  rmSync(passwordFile)
  await expect(withPassword(url, places({ passwordFile }), 'db')).rejects.toMatchObject({ code: 'SECRET_MISSING' })
})

test('a service is found in its file', async () => {
  const text =
    '# services\n[other]\nhost=elsewhere\n\n[clinic]\nhost = db.test\nuser=backup\nhost=second\n[last]\nport=1\n'
  expect(parseServices(text, 'clinic')).toEqual(
    new Map([
      ['host', 'db.test'],
      ['user', 'backup'],
    ]),
  )
  expect(parseServices(text, 'none')).toBeNull()
  writeFileSync(join(home, 'pg_service.conf'), text)
  expect((await readService('clinic', 'last', { HOME: home, PGSYSCONFDIR: home })).get('port')).toBe('1')
  await expect(readService('clinic', 'none', { PGSERVICEFILE: join(home, 'pg_service.conf') })).rejects.toMatchObject({
    code: 'SECRET_MISSING',
    message: expect.stringContaining('no service [none]'),
  })
})
