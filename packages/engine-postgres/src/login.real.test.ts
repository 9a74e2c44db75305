import { POSTGRES_MAJORS, startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeCertificates, type Certificates } from './certificates.fixture.ts'
import { backUp, engineOf, never, temporaryFolder } from './engine.fixture.ts'

const PASSWORD = 'pa ss\u00adw\u00f6rd/\u2168'

const HBA = [
  'hostssl all,replication tls 127.0.0.1/32 scram-sha-256',
  'hostnossl all,replication tls 127.0.0.1/32 reject',
  'host all,replication backup,weak,stale 127.0.0.1/32 scram-sha-256',
  'host replication clear 127.0.0.1/32 password',
  'host replication old 127.0.0.1/32 md5',
  'host replication refused 127.0.0.1/32 reject',
]

describe.each(POSTGRES_MAJORS)('logging in to PostgreSQL %i', (major) => {
  const folder = temporaryFolder()
  let server: RealPostgres
  let certificates: Certificates
  beforeAll(async () => {
    certificates = makeCertificates(folder.path, 'IP:127.0.0.1,DNS:db.test')
    // The default of 13 is MD5.
    const settings = { password_encryption: 'scram-sha-256' }
    server = await startPostgres({ major, hba: HBA, ssl: certificates, settings })
    for (const role of ['backup', 'tls', 'clear', 'refused']) {
      await server.query(`CREATE ROLE ${role} LOGIN REPLICATION PASSWORD '${PASSWORD}'`)
    }
    await server.query(`CREATE ROLE weak LOGIN PASSWORD '${PASSWORD}'`)
    await server.query(`SET password_encryption = 'md5'; CREATE ROLE old LOGIN REPLICATION PASSWORD 'old'`)
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  const at = (user: string, options: string, password = PASSWORD, host = '127.0.0.1'): string =>
    `postgres://${user}:${encodeURIComponent(password)}@${host}:${server.port}/postgres?${options}`
  const probe = (url: string) => engineOf(url, folder.path).probe(never)
  const failure = async (url: string): Promise<SalvorError> => {
    const error = await probe(url).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(SalvorError)
    expect(JSON.stringify([error, (error as Error).message])).not.toContain(PASSWORD)
    return error as SalvorError
  }

  test('a password in SCRAM-SHA-256 opens the way, without TLS and with it', async () => {
    const plain = await probe(at('backup', 'sslmode=disable'))
    expect(plain.version).toMatch(new RegExp(`^${major}\\.`))
    expect(plain.source_db).toBe(`127.0.0.1:${server.port}`)
    expect(plain.size_bytes).toBeGreaterThan(5_000_000)
    const ca = `sslrootcert=${certificates.ca}`
    for (const options of [
      'sslmode=prefer',
      'sslmode=require',
      `sslmode=verify-ca&${ca}`,
      `sslmode=verify-full&${ca}`,
    ]) {
      expect((await probe(at('tls', options))).version).toBe(plain.version)
    }
  })

  test('REPLICATION is all that a role needs for a backup', async () => {
    const facts = await backUp(engineOf(at('backup', 'sslmode=disable'), folder.path), join(folder.path, 'backup.tar'))
    expect(facts.notices.filter((notice) => !notice.includes('pages verified'))).toEqual([])
  })

  test('the login is bound to the certificate of the server where that is asked for', async () => {
    const bound = at('tls', `sslmode=verify-full&sslrootcert=${certificates.ca}&channel_binding=require`)
    expect((await probe(bound)).version).toMatch(/^\d+\./)
    const unbound = await failure(at('backup', 'sslmode=disable&channel_binding=require'))
    expect(unbound.code).toBe('SOURCE_AUTH_FAILED')
  })

  test('a wrong password, a role that is not there and one without a password are a failed login', async () => {
    for (const user of ['backup', 'stale']) {
      const error = await failure(at(user, 'sslmode=disable', 'wrong'))
      expect(error.code).toBe('SOURCE_AUTH_FAILED')
      expect(error.retryable).toBe(false)
    }
    const none = await failure(`postgres://backup@127.0.0.1:${server.port}/postgres`)
    expect(none.message).toContain('the URL has none')
  })

  test('a role without REPLICATION is told the line that gives it', async () => {
    const error = await failure(at('weak', 'sslmode=disable'))
    expect(error.code).toBe('SOURCE_PRIVILEGE_MISSING')
    expect(error.hint).toContain('ALTER ROLE weak WITH LOGIN REPLICATION;')
  })

  test('a line of pg_hba.conf that rejects is told with the line that would not', async () => {
    const error = await failure(at('refused', 'sslmode=disable'))
    expect(error.code).toBe('SOURCE_AUTH_FAILED')
    expect(error.message).toContain('hostssl replication refused')
    const plaintext = await failure(at('tls', 'sslmode=disable'))
    expect(plaintext.code).toBe('SOURCE_AUTH_FAILED')
  })

  test('a password in clear or as MD5 is not given away', async () => {
    expect((await failure(at('clear', 'sslmode=require'))).message).toContain('in clear')
    expect((await failure(at('old', 'sslmode=disable', 'old'))).message).toContain('MD5')
    const verified = `sslmode=verify-full&sslrootcert=${certificates.ca}`
    expect((await failure(at('clear', verified))).message).toContain('in clear')
    expect((await failure(at('clear', 'sslmode=disable&require_auth=password'))).message).toContain('in clear')
    expect((await probe(at('clear', `${verified}&require_auth=password`))).version).toMatch(/^\d+\./)
  })

  test('a certificate of an unknown authority is refused, and so is one for another host', async () => {
    const stranger = await failure(at('tls', `sslmode=verify-full&sslrootcert=${certificates.otherCa}`))
    expect(stranger.code).toBe('SOURCE_TLS_FAILED')
    expect(stranger.message).toContain('sslrootcert')
    const ca = `sslrootcert=${certificates.ca}`
    const elsewhere = await failure(at('tls', `sslmode=verify-full&${ca}`, PASSWORD, 'localhost'))
    expect(elsewhere.message).toContain('another host name')
    expect((await probe(at('tls', `sslmode=verify-ca&${ca}`, PASSWORD, 'localhost'))).version).toMatch(/^\d+\./)
    expect((await failure(at('tls', 'sslmode=verify-full'))).code).toBe('SOURCE_TLS_FAILED')
  })
})

describe('reaching a server', () => {
  test('TLS that is demanded of a server without it is a failure, never a fallback', async () => {
    using folder = temporaryFolder()
    await using server = await startPostgres({ major: 17 })
    const url = `${server.url}?sslmode=require`
    await expect(engineOf(url, folder.path).probe(never)).rejects.toMatchObject({ code: 'SOURCE_TLS_FAILED' })
    const preferred = await engineOf(`${server.url}?sslmode=prefer`, folder.path).probe(never)
    expect(preferred.notices).toEqual([expect.stringContaining('pages verified: no')])
  })

  test('a Unix socket is a way, too', async () => {
    using folder = temporaryFolder()
    const settings = { unix_socket_directories: '/tmp', max_wal_senders: '1' }
    await using server = await startPostgres({ major: 16, settings })
    const url = `postgres://postgres@/postgres?host=/tmp&port=${server.port}`
    expect((await engineOf(url, folder.path).probe(never)).source_db).toBe(`/tmp:${server.port}`)
    // The only replication connection is the backup's own: nobody can watch how much WAL it holds, so it holds none.
    const facts = await backUp(engineOf(url, folder.path), join(folder.path, 'backup.tar'))
    expect(facts.notices).toEqual(expect.arrayContaining([expect.stringContaining('no second replication connection')]))
    const named = `postgres://postgres@localhost:${server.port}/postgres?sslmode=disable`
    expect((await engineOf(named, folder.path).probe(never)).source_db).toBe(`localhost:${server.port}`)
  })

  test('a server that is stopped, or that allows no backups, is told as such', async () => {
    using folder = temporaryFolder()
    await using server = await startPostgres({ major: 17, settings: { max_wal_senders: '0', wal_level: 'minimal' } })
    await expect(engineOf(server.url, folder.path).probe(never)).rejects.toMatchObject({
      code: 'SOURCE_UNSUPPORTED',
      message: expect.stringContaining('max_wal_senders is 0'),
    })
    await server.stop()
    await expect(engineOf(server.url, folder.path).probe(never)).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
      retryable: true,
    })
  })
})
