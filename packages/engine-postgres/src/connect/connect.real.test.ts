import { startPostgres, startStandby, type RealPostgres } from '@salvor/testkit/real/postgres'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeCertificates } from '../certificates.fixture.ts'
import { engineOf, engineWithPasswordFile, never, temporaryFolder } from '../engine.fixture.ts'

/** Port 1: nothing listens there. */
const NOBODY = '127.0.0.1:1'

describe.each([13, 18] as const)('a source of several servers, PostgreSQL %i', (major) => {
  const folder = temporaryFolder()
  let primary: RealPostgres
  let standby: RealPostgres
  beforeAll(async () => {
    primary = await startPostgres({ major })
    standby = await startStandby(primary)
  })
  afterAll(async () => {
    await standby[Symbol.asyncDispose]()
    await primary[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  const place = (server: RealPostgres): string => `127.0.0.1:${server.port}`
  const probed = async (hosts: readonly string[], wanted: string): Promise<string> => {
    const url = `postgres://postgres@${hosts.join(',')}/postgres?target_session_attrs=${wanted}&connect_timeout=2`
    return (await engineOf(url, folder.path).probe(never)).source_db
  }

  test('is the first one that answers and is what was asked for', async () => {
    const both = [NOBODY, place(standby), place(primary)]
    expect(await probed(both, 'any')).toBe(place(standby))
    expect(await probed(both, 'primary')).toBe(place(primary))
    expect(await probed(both, 'read-write')).toBe(place(primary))
    expect(await probed(both.toReversed(), 'standby')).toBe(place(standby))
    expect(await probed(both.toReversed(), 'read-only')).toBe(place(standby))
    expect(await probed(both.toReversed(), 'prefer-standby')).toBe(place(standby))
    expect(await probed([NOBODY, place(primary)], 'prefer-standby')).toBe(place(primary))
  })

  test('that has none to offer names each with its own reason', async () => {
    await expect(probed([NOBODY, place(standby)], 'primary')).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
      retryable: true,
      message: expect.stringMatching(
        `any of 2 servers: ${NOBODY}: nothing listens there; ${place(standby)}: it is a standby \\(target_session_attrs=primary\\)`,
      ),
    })
    await expect(probed([place(primary)], 'standby')).rejects.toMatchObject({
      message: expect.stringContaining('it is no standby'),
    })
  })

  test('that refuses the login is not asked further', async () => {
    const url = `postgres://nobody@${place(standby)},${place(primary)}/postgres`
    await expect(engineOf(url, folder.path).probe(never)).rejects.toMatchObject({
      code: 'SOURCE_AUTH_FAILED',
      facts: { where: place(standby) },
    })
  })
})

describe('passwords, services and certificates', () => {
  const folder = temporaryFolder()
  let server: RealPostgres
  let certificates: ReturnType<typeof makeCertificates>
  beforeAll(async () => {
    certificates = makeCertificates(folder.path, 'IP:127.0.0.1')
    const hba = [
      'hostssl replication,all badge 127.0.0.1/32 cert',
      'host replication,all backup 127.0.0.1/32 scram-sha-256',
    ]
    const ssl = { cert: certificates.cert + readFileSync(certificates.ca, 'utf8'), key: certificates.key }
    server = await startPostgres({ major: 17, hba, ssl, settings: { ssl_ca_file: 'server.crt' } })
    await server.query("CREATE ROLE backup LOGIN REPLICATION PASSWORD 'first'; CREATE ROLE badge LOGIN REPLICATION")
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    folder[Symbol.dispose]()
  })

  const url = (options = '', user = 'backup') => `postgres://${user}@127.0.0.1:${server.port}/postgres?${options}`

  test('a password that was changed while a source is open is taken from its file at the next connection', async () => {
    const file = join(folder.path, 'password')
    writeFileSync(file, 'first\n')
    const engine = engineWithPasswordFile(url(), file, folder.path)
    await engine.probe(never)
    await server.query("ALTER ROLE backup PASSWORD 'second'")
    await expect(engine.probe(never)).rejects.toMatchObject({ code: 'SOURCE_AUTH_FAILED' })
    writeFileSync(file, 'second\n')
    await engine.probe(never)
    await server.query("ALTER ROLE backup PASSWORD 'first'")
  })

  test('libpq’s own files are read: .pgpass by its rule, and services', async () => {
    const passfile = join(folder.path, 'pgpass')
    writeFileSync(passfile, `127.0.0.1:${server.port}:*:backup:first\n`, { mode: 0o600 })
    const services = join(folder.path, 'services')
    writeFileSync(services, `[clinic]\nhost=127.0.0.1\nport=${server.port}\nuser=backup\nsslmode=require\n`)
    const environment = { PGPASSFILE: passfile, PGSERVICEFILE: services, HOME: folder.path }
    await engineOf(url(), folder.path, { environment }).probe(never)
    const { source_db } = await engineOf('postgres:///?service=clinic', folder.path, { environment }).probe(never)
    expect(source_db).toBe(`127.0.0.1:${server.port}`)
    await engineOf(url(`passfile=${passfile}`), folder.path).probe(never)
    chmodSync(passfile, 0o640)
    const error: unknown = await engineOf(url(), folder.path, { environment })
      .probe(never)
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(SalvorError)
    expect((error as SalvorError).message).toMatch(/others may read it \(chmod 600\)/)
  })

  test('a certificate is a login, and its key must be private', async () => {
    const { cert, key } = certificates.client('badge')
    chmodSync(key, 0o600)
    const options = `sslmode=verify-full&sslrootcert=${certificates.ca}&sslcert=${cert}&sslkey=${key}`
    expect((await engineOf(url(options, 'badge'), folder.path).probe(never)).version).toMatch(/^17\./)
    await expect(engineOf(url('sslmode=require', 'badge'), folder.path).probe(never)).rejects.toMatchObject({
      code: expect.stringMatching(/^SOURCE_(AUTH|TLS)_FAILED$/),
    })
    chmodSync(key, 0o644)
    await expect(engineOf(url(options, 'badge'), folder.path).probe(never)).rejects.toMatchObject({
      code: 'SOURCE_TLS_FAILED',
      message: expect.stringContaining('others may read sslkey'),
    })
  })
})
