import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { makeHome, type Home } from './salvor.ts'

interface Check {
  name: string
  ok: boolean
  detail: string
  hint: string
}

const look = async (home: Home, ...args: string[]) => {
  const ended = await home.run('doctor', ...args, '--json')
  const { checks } = ended.json<{ checks: Check[] }>()
  return { code: ended.code, checks, of: (name: string) => checks.find((check) => check.name === name) }
}

test('doctor looks at all that a backup needs, and says what to do about what is missing', async () => {
  await using home = await makeHome()
  await using server = await startPostgres({ major: 17 })
  createClinic(home.path('desk.db'), { rows: 10 })
  const configure = (url: string) =>
    home.configure(`
stores: { local: { kind: local, path: ./backups } }
sources:
  desk: { engine: sqlite, path: ./desk.db }
  clinic: { engine: postgres, url: "${url}" }
`)
  await configure(server.url)
  const unbounded = await look(home)
  expect(unbounded.checks.filter(({ ok }) => !ok)).toEqual([
    expect.objectContaining({
      name: 'WAL of clinic',
      hint: expect.stringContaining("ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'"),
    }),
  ])
  await server.query("ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'")
  await server.query('SELECT pg_reload_conf()')
  const well = await look(home)
  expect(well.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(well.code).toBe(0)
  expect(well.of('source clinic')?.detail).toContain(`127.0.0.1:${server.port}, version 17.`)
  expect(well.of('source clinic: advice')?.detail).toContain('pages verified: no')
  expect(well.of('proofs of clinic')?.detail).toContain('PostgreSQL 17 in ')
  expect(well.of('store local')?.detail).toContain('free')
  expect(well.of('keys')?.hint).toBe('salvor keys create')

  await configure(`postgres://weak:hunter2@127.0.0.1:${server.port}/postgres`)
  await server.query("CREATE ROLE weak LOGIN PASSWORD 'hunter2'")
  const ill = await look(home, 'clinic')
  expect(ill.code).toBe(1)
  expect(ill.of('source clinic')).toMatchObject({
    ok: false,
    hint: expect.stringContaining('ALTER ROLE weak WITH LOGIN REPLICATION;'),
  })
  expect(ill.of('source desk')).toBeUndefined()
  expect(JSON.stringify(ill.checks)).not.toContain('hunter2')
  expect((await home.run('doctor', 'nobody')).code).toBe(2)
})

test('what config grants prints lets a backup in', async () => {
  await using home = await makeHome()
  await using server = await startPostgres({ major: 17, settings: { password_encryption: 'scram-sha-256' } })
  await home.configure(`
stores: { local: { kind: local, path: ./backups } }
sources:
  clinic:
    engine: postgres
    url: "postgres://backup@127.0.0.1:${server.port}/postgres"
    password_file: ./password
`)
  await writeFile(home.path('password'), 'of backup\n')
  const { steps } = (await home.run('config', 'grants', 'clinic', '--json')).json<{ steps: { lines: string[] }[] }>()
  const lines = steps.flatMap(({ lines: typed }) => typed)
  const hba = lines.filter((line) => line.startsWith('host')).map((line) => line.replace(/<.*>/, '127.0.0.1/32'))
  await writeFile(`${server.dataDir}/pg_hba.conf`, `${hba.join('\n')}\nhost all postgres 127.0.0.1/32 trust\n`)
  for (const line of lines.filter((sql) => sql.endsWith(';'))) await server.query(line)
  await server.query("ALTER ROLE backup PASSWORD 'of backup'")
  const taken = await home.run('backup', 'clinic', '--json')
  expect(taken.code, taken.stdout).toBe(0)
})

test('a tablespace comes back where the command says', async () => {
  await using home = await makeHome()
  await using server = await startPostgres({ major: 17 })
  await server.query("COPY (SELECT 1) TO PROGRAM 'mkdir -m 700 ../fast'")
  const fast = `${server.folder}/fast`
  await server.query(`CREATE TABLESPACE fast LOCATION '${fast}'`)
  await server.query('CREATE TABLE quick TABLESPACE fast AS SELECT n FROM generate_series(1, 100) AS n')
  await home.configure(`
stores: { local: { kind: local, path: ./backups } }
sources:
  clinic: { engine: postgres, url: "${server.url}", checks: [ "SELECT count(*) = 100 FROM quick" ] }
`)
  expect((await home.run('backup', 'clinic', '--json')).code).toBe(0)
  const proven = await home.run('verify', 'latest', 'clinic', '--level', 'restore', '--json')
  expect(proven.code, proven.stdout).toBe(0)
  const to = ['restore', 'clinic', '--to', home.path('data'), '--tablespace']
  expect((await home.run(...to, `/srv/other=${home.path('x')}`, '--json')).json()).toMatchObject({
    error: { code: 'TABLESPACE_REFUSED' },
  })
  const restored = await home.run(...to, `${fast}=${home.path('new place')}`, '--json')
  expect(restored.code, restored.stdout).toBe(0)
  expect(restored.stdout).toContain(`${fast} at ${home.path('new place')}`)
})

test('a worker that has public keys only is told what that means for change sets', async () => {
  await using home = await makeHome()
  createClinic(home.path('desk.db'), { rows: 10 })
  const configure = (schedule: string) =>
    home.configure(`
stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./keys.json }
sources:
  desk: { engine: sqlite, path: ./desk.db, schedule: ${schedule} }
`)
  await configure('{ full: "0 2 * * 0", changes: 60s }')
  await home.run('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem')
  expect((await look(home)).of('keys: change sets')).toBeUndefined()
  type Keys = { wrapping: object[] }
  const keys = JSON.parse(await readFile(home.path('keys.json'), 'utf8')) as Keys
  const wrapping = keys.wrapping.map((key) => ({ ...key, private_key: null }))
  await writeFile(home.path('keys.json'), `${JSON.stringify({ ...keys, wrapping }, null, 2)}\n`, { mode: 0o600 })
  const told = (await look(home)).of('keys: change sets')
  expect([told?.ok, told?.hint]).toEqual([true, expect.stringContaining('--jobs compact-changes')])
  await configure('{ full: "0 2 * * 0" }')
  expect((await look(home)).of('keys: change sets')).toBeUndefined()
})
