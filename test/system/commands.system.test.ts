import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import Database from 'better-sqlite3'
import { assertInvariant, createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { clinicState, createClinicPg, startPgWriter } from '@salvor/testkit/real/postgres-load'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { expect, test } from 'vitest'
import { makeHome, type Home } from './salvor.ts'

interface BackupDocument {
  backup: {
    id: string
    state: string
    filename: string
    type: string
    checksum_sha256: string
    copies: { store: string; state: string; key: string }[]
  }
}

/** The ten lines that README shows. */
const TEN_LINES = `
stores:
  local: { kind: local, path: ./backups }
sources:
  desk:
    engine: sqlite
    path: ./desk.db
    checks: [ "SELECT sum(amount) = 1000000 FROM ledger" ]
`

async function desk(home: Home): Promise<void> {
  createClinic(home.path('desk.db'), { rows: 500 })
  await home.configure(TEN_LINES)
}

test('with no Redis a live SQLite database is backed up, listed, proven and restored by four commands', async () => {
  await using home = await makeHome()
  await desk(home)
  await using writer = await startWriter(home.path('desk.db'), { tps: 100 })
  const taken = await home.run('backup', 'desk', '--json')
  expect(taken.stderr).not.toMatch(/error/i)
  expect(taken.code).toBe(0)
  const { backup } = taken.json<BackupDocument>()
  expect(backup).toMatchObject({ type: 'full', filename: expect.stringMatching(/^backup_full_\d{8}_\d{6}\.db\.zst$/) })
  expect(backup.copies).toEqual([{ store: 'local', state: 'completed', key: `desk/${backup.filename}` }])

  const listed = await home.run('list', '--json')
  expect(listed.json<{ backups: { id: string }[] }>().backups.map((one) => one.id)).toEqual([backup.id])

  const proven = await home.run('verify', 'latest', '--level', 'restore', '--json')
  expect(proven.code).toBe(0)
  expect((await home.run('list', 'desk', '--json')).json<{ backups: { state: string }[] }>().backups[0]?.state).toBe(
    'proven',
  )

  const restored = await home.run('restore', 'desk', '--to', home.path('back/desk.db'), '--json')
  expect(restored.code).toBe(0)
  expect(restored.json<{ ok: boolean; target: string }>()).toMatchObject({
    ok: true,
    target: home.path('back/desk.db'),
  })
  assertInvariant(home.path('back/desk.db'))
  expect((await stat(home.path('back/desk.db'))).mode & 0o777).toBe(0o600)
  expect((await writer.stop()).errors).toBe(0)
})

test('with no Redis a PostgreSQL cluster under load is backed up, proven and restored', async () => {
  await using home = await makeHome()
  await using server = await startPostgres({ major: 15 })
  await createClinicPg(server.url, { rows: 2000 })
  await home.configure(`
stores: { local: { kind: local, path: ./backups } }
sources:
  clinic:
    engine: postgres
    url: ${server.url}
    checks: [ "SELECT sum(balance) = 1000000 FROM ledger", "SELECT coalesce(max(id), 0) = count(*) FROM visits" ]
`)
  await using _writer = startPgWriter(server.url, { tps: 50 })
  const taken = await home.run('backup', 'clinic', '--json')
  expect(taken.code, taken.stderr + taken.stdout).toBe(0)
  expect(taken.json<BackupDocument>().backup.filename).toMatch(/^backup_full_\d{8}_\d{6}\.tar\.zst$/)
  const proven = await home.run('verify', 'latest', 'clinic', '--level', 'restore', '--json')
  expect(proven.code, proven.stdout).toBe(0)
  expect((await clinicState(server.url)).consistent).toBe(true)
  const restored = await home.run('restore', 'clinic', '--to', home.path('pgdata'), '--json')
  expect(restored.code, restored.stdout).toBe(0)
  expect(await readdir(home.path('pgdata'))).toContain('PG_VERSION')
})

test('every failure is one document with code, message and hint, and the exit code says its kind', async () => {
  await using home = await makeHome()
  const failing = async (exit: number, code: string, ...args: string[]): Promise<string> => {
    const ended = await home.run(...args, '--json')
    const { error } = ended.json<{ error: { code: string; hint: string; message: string } }>()
    expect([ended.code, error.code], ended.stdout).toEqual([exit, code])
    expect(error.hint.length).toBeGreaterThan(5)
    return error.message
  }
  await failing(2, 'CONFIG_MISSING', 'list')
  await home.configure(`${TEN_LINES}    colour: red\n`)
  expect(await failing(2, 'CONFIG_INVALID', 'config', 'validate')).toMatch(/salvor\.yaml:9: .*colour/)
  await home.configure(`${TEN_LINES}    schedule: { full: "99 2 * * *" }\n`)
  expect(await failing(2, 'CONFIG_INVALID', 'list')).toMatch(/salvor\.yaml:9/)
  await desk(home)
  await failing(2, 'SOURCE_UNKNOWN', 'backup', 'nobody')
  await failing(2, 'BACKUP_UNKNOWN', 'verify', 'latest')
  await failing(2, 'BACKUP_UNKNOWN', 'restore', 'desk', '--to', home.path('x.db'))
  await failing(2, 'USAGE', 'backup')
  await failing(2, 'USAGE', 'nonsense')
  await home.run('backup', 'desk')
  await failing(2, 'TARGET_NOT_EMPTY', 'restore', 'desk', '--to', home.path('salvor.yaml'))
})

test('a restore in place keeps what was there as a pre_restore backup', async () => {
  await using home = await makeHome()
  await desk(home)
  expect((await home.run('backup', 'desk')).code).toBe(0)
  const db = new Database(home.path('desk.db'))
  db.exec('CREATE TABLE added (x)')
  db.close()
  const restored = await home.run('restore', 'desk', '--to', home.path('desk.db'), '--in-place', '--json')
  expect(restored.code, restored.stdout).toBe(0)
  assertInvariant(home.path('desk.db'))
  const after = new Database(home.path('desk.db'), { readonly: true })
  expect(after.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'added'").get()).toEqual({ n: 0 })
  after.close()
  const { backups } = (await home.run('list', '--json')).json<{
    backups: { type: string; id: string; filename: string }[]
  }>()
  const [kept] = backups.filter((backup) => backup.type === 'pre_restore')
  expect(kept?.filename).toMatch(/^pre_restore_backup_\d{8}_\d{6}\.db\.zst$/)
  expect((await home.run('restore', kept?.id ?? '', '--to', home.path('before.db'))).code).toBe(0)
  const before = new Database(home.path('before.db'), { readonly: true })
  expect(before.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'added'").get()).toEqual({ n: 1 })
  before.close()
})

test('commands around a restore in place stop and start the application, whatever becomes of the restore', async () => {
  await using home = await makeHome()
  await desk(home)
  expect((await home.run('backup', 'desk')).code).toBe(0)
  const said = home.path('said')
  const hook = (which: string, code: number) =>
    JSON.stringify([
      'sh',
      '-c',
      `echo "${which} $SALVOR_SOURCE $SALVOR_TARGET $SALVOR_OUTCOME password=canary" | tee -a "$0"; exit ${code}`,
      said,
    ])
  const restored = async (before: number, after: number) => {
    await home.configure(
      `${TEN_LINES}    hooks: { before: ${hook('before', before)}, after: ${hook('after', after)}, timeout: 30s }\n`,
    )
    await writeFile(said, '')
    const ended = await home.run('restore', 'desk', '--to', home.path('desk.db'), '--in-place')
    return { ...ended, said: await readFile(said, 'utf8') }
  }
  const about = `desk ${home.path('desk.db')}`
  const good = await restored(0, 0)
  expect([good.code, good.said]).toEqual([
    0,
    `before ${about}  password=canary\nafter ${about} succeeded password=canary\n`,
  ])
  const before = (await home.run('list', '--json')).json<{ backups: unknown[] }>().backups.length
  const refused = await restored(1, 0)
  expect([refused.code, refused.said.includes('after') && refused.said.includes('not_started')]).toEqual([1, true])
  expect(refused.stderr).toContain('HOOK_FAILED')
  expect(refused.stderr).not.toContain('canary')
  expect((await home.run('list', '--json')).json<{ backups: unknown[] }>().backups).toHaveLength(before)
  expect((await restored(0, 9)).code).toBe(3)
  assertInvariant(home.path('desk.db'))
})

test('the local store can be read without Salvor, and holds no readable file for others', async () => {
  await using home = await makeHome()
  await desk(home)
  expect((await home.run('backup', 'desk')).code).toBe(0)
  const files = await readdir(home.path('backups/desk'), { recursive: true })
  expect(files.some((file) => file.endsWith('.RECOVERY.md'))).toBe(true)
  for (const file of files) expect((await stat(home.path('backups/desk', file))).mode & 0o077).toBe(0)
  const index = JSON.parse(await readFile(home.path('backups/manifest.json'), 'utf8')) as { backups: unknown[] }
  expect(index.backups).toHaveLength(1)
})
