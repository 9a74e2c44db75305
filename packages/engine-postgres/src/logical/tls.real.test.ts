import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres, type PostgresMajor, type RealPostgres } from '@salvor/testkit/real/postgres'
import { expect, test } from 'vitest'
import { makeCertificates } from '../certificates.fixture.ts'
import { openLink } from '../connect/open-link.ts'
import { backUp, contextIn, environmentOf, never, temporaryFolder } from '../engine.fixture.ts'
import { adapter } from '../index.ts'
import { CLIENT_FOLDERS, newestHere } from './dump-programs.fixture.ts'
import { clientProgram } from './programs.ts'
import { clientFiles } from './service-file.ts'

const PASSWORD = 'pass:w\\ord of the dumper'
const MAJORS: readonly PostgresMajor[] =
  process.env['SALVOR_TEST_COUNTS'] === 'full' ? [13, 14, 15, 16, 17, 18] : [newestHere ?? 15]
const HBA = ['hostssl all dumper 127.0.0.1/32 scram-sha-256', 'host all dumper 127.0.0.1/32 scram-sha-256']

/** What everybody on this machine may see of the dumps that this process runs, and what its user may see. */
function seenOfDumps(): { readonly argv: string; readonly environ: string }[] {
  const children = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      const [, parent] = /^\d+ \(.*\) \S (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? []
      return parent === String(process.pid) && /pg_dump\0/.test(readFileSync(`/proc/${name}/cmdline`, 'utf8'))
    } catch {
      return false
    }
  })
  return children.map((pid) => {
    const of = (what: string): string => readFileSync(`/proc/${pid}/${what}`, 'utf8').replaceAll('\0', '\n')
    return { argv: of('cmdline'), environ: of('environ') }
  })
}

async function serverWithDumper(major: PostgresMajor, certificates: { cert: string; key: string }) {
  const server = await startPostgres({
    major,
    hba: HBA,
    ssl: certificates,
    settings: { password_encryption: 'scram-sha-256' },
  })
  for (const sql of [
    `CREATE ROLE dumper LOGIN SUPERUSER PASSWORD '${PASSWORD}'`,
    'CREATE TABLE visits AS SELECT g FROM generate_series(1, 1000) g',
  ])
    await server.query(sql)
  return server
}

/** The links of the dump, while a lock that is held elsewhere keeps pg_dump waiting. */
async function whileItWaits<T>(server: RealPostgres, dump: () => Promise<T>, look: () => Promise<boolean>): Promise<T> {
  const { Client } = (await import('pg')).default
  const holder = new Client(server.url)
  await holder.connect()
  await holder.query('BEGIN')
  await holder.query('LOCK TABLE visits')
  const dumping = dump()
  const ended = dumping.then(() => Promise.reject(new Error('pg_dump did not wait')))
  ended.catch(() => undefined)
  try {
    for (const end = Date.now() + 30_000; !(await Promise.race([look(), ended]));) {
      if (Date.now() > end) throw new Error('pg_dump was not seen at work')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  } finally {
    await holder.end()
  }
  return await dumping
}

test.for(MAJORS)(
  'pg_dump logs in to PostgreSQL %i as Salvor does: verified TLS, SCRAM bound to it, no password in sight',
  { timeout: 60_000 },
  async (major, { skip }) => {
    const program = await clientProgram('clinic', 'pg_dump', major, CLIENT_FOLDERS).catch(() => null)
    if (program === null) {
      skip(`needs pg_dump ${major} or newer`)
      return
    }
    using folder = temporaryFolder()
    const certificates = makeCertificates(folder.path, 'IP:127.0.0.1')
    await using server = await serverWithDumper(major, certificates)
    const passfile = join(folder.path, 'pgpass')
    writeFileSync(passfile, `127.0.0.1:*:*:dumper:${PASSWORD.replace(/[\\:]/g, '\\$&')}\n`, { mode: 0o600 })
    const options = `sslmode=verify-full&channel_binding=require&passfile=${encodeURIComponent(passfile)}`
    const url = (ca: string): string =>
      `postgres://dumper@127.0.0.1:${server.port}/postgres?${options}&sslrootcert=${encodeURIComponent(ca)}`

    const engine = adapter.open(
      adapter.schema.parse({ url: url(certificates.ca), method: 'logical' }),
      contextIn(folder.path, { server_programs: CLIENT_FOLDERS }),
    )
    const artifact = join(folder.path, 'dump.tar')
    const seen: { argv: string; environ: string }[] = []
    let links: unknown[] = []
    const SQL = `SELECT ssl, left(version, 5) AS tls FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'dumper'`
    const facts = await whileItWaits(
      server,
      () => backUp(engine, artifact),
      async () => {
        const [waits] = await server.query("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'visits'::regclass")
        if (waits) {
          seen.push(...seenOfDumps())
          links = await server.query(SQL)
        }
        return seen.length > 0
      },
    )
    expect(facts.engine_facts).toMatchObject({ method: 'logical' })
    expect(links.length).toBeGreaterThan(0)
    expect(new Set(links.map((link) => JSON.stringify(link)))).toEqual(new Set(['{"ssl":true,"tls":"TLSv1"}']))
    const words = seen.map(({ argv, environ }) => argv + environ).join('\n')
    expect(words).toContain('service=salvor')
    for (const secret of [PASSWORD, 'pass:w', 'of the dumper', 'PGPASSWORD', 'SALVOR'])
      expect(words).not.toContain(secret)
    // The files that it was given went with it.
    const secrets = /PGPASSFILE=(.*)/.exec(words)?.[1]
    expect([secrets !== undefined, existsSync(secrets!)]).toEqual([true, false])

    // It is pg_dump that insists, not only the login of Salvor before it.
    await using link = await openLink(environmentOf(url(certificates.ca), folder.path), 'sql', never)
    let n = 0
    const dumpWith = async (change: Partial<typeof link.address>): Promise<string> => {
      const place = join(folder.path, `files-${(n += 1)}`)
      mkdirSync(place, { mode: 0o700 })
      const { env, conninfo } = await clientFiles(place, { ...link.address, ...change }, program, 'clinic')
      const { status, stderr } = spawnSync(program.path, ['--schema-only', `--dbname=${conninfo('postgres')}`], {
        env,
        encoding: 'utf8',
      })
      return `${status} ${stderr}`
    }
    expect(await dumpWith({})).toBe('0 ')
    expect(await dumpWith({ sslrootcert: certificates.otherCa })).toMatch(/^1 .*certificate verify failed/s)
    expect(await dumpWith({ host: 'localhost' })).toMatch(/^1 .*(does not match host name|Connection refused)/s)
    expect(await dumpWith({ sslmode: 'disable' })).toMatch(/^1 .*channel binding required/s)
    expect(await dumpWith({ password: 'another' })).toMatch(/^1 .*password authentication failed/s)
  },
)
