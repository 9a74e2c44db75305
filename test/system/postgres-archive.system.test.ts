import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { createClinicPg } from '@salvor/testkit/real/postgres-load'
import { expect, test } from 'vitest'
import { makeHome } from './salvor.ts'

test('archive_command and restore_command: what is acknowledged is stored, and nothing false is', async () => {
  await using server = await startPostgres({ major: 17, initdb: ['--wal-segsize=1'] })
  await createClinicPg(server.url, { rows: 2000 })
  for (let n = 0; n < 6; n++) await server.query("SELECT pg_logical_emit_message(true, 'n', 'x'), pg_switch_wal()")
  await using home = await makeHome()
  await home.configure(`stores:
  local: { kind: local, path: ./backups }
encryption: { keyring_file: ./keys.json }
sources:
  clinic: { engine: postgres, url: "${server.url}", schedule: { full: "0 2 * * 0" } }
`)
  await home.run('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem')
  const wal = join(server.dataDir, 'pg_wal')
  const names = readdirSync(wal)
    .filter((file) => /^[0-9A-F]{24}$/.test(file))
    .toSorted()
  const name = names[0]!
  const pushed = await home.run('wal', 'push', join(wal, name))
  expect(`${pushed.code} ${pushed.stderr}`).toMatch(/^0 /)
  expect(pushed.stdout).toContain(`${name} in local`)
  const stored = readdirSync(home.path('backups', 'clinic', 'wal', '00000001')).toSorted()
  expect(stored).toEqual([`${name}.json`, `${name}.zst.enc`])

  // PostgreSQL archives again what it does not know to be archived.
  expect((await home.run('wal', 'push', join(wal, name))).code).toBe(0)
  expect(readdirSync(home.path('backups', 'clinic', 'wal', '00000001'))).toHaveLength(2)
  mkdirSync(home.path('other'))
  const altered = home.path('other', name)
  copyFileSync(join(wal, name), altered)
  const bytes = readFileSync(altered)
  bytes[500_000]! ^= 1
  writeFileSync(altered, bytes)
  const refused = await home.run('wal', 'push', altered)
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('WAL_CONFLICT')
  writeFileSync(altered, 'no WAL at all')
  expect((await home.run('wal', 'push', altered)).stderr).toContain('SOURCE_DAMAGED')

  // What the server would hand over next is stored by the same call, and each is acknowledged at its own.
  mkdirSync(home.path('pg_wal', 'archive_status'), { recursive: true })
  const [first = '', second = '', third = '', fourth = ''] = names.slice(1)
  for (const one of [first, second, third, fourth]) {
    copyFileSync(join(wal, one), home.path('pg_wal', one))
    writeFileSync(home.path('pg_wal', 'archive_status', `${one}.ready`), '')
  }
  writeFileSync(home.path('pg_wal', fourth), 'no WAL at all')
  const inStore = () =>
    readdirSync(home.path('backups', 'clinic', 'wal', '00000001')).filter((key) => key.endsWith('.json'))
  expect((await home.run('wal', 'push', home.path('pg_wal', first))).code).toBe(0)
  expect(inStore().toSorted()).toEqual([name, first, second, third].map((one) => `${one}.json`))
  const ahead = await home.run('wal', 'push', home.path('pg_wal', second))
  expect(`${ahead.code} ${ahead.stdout}`).toMatch(/^0 .*stored by an earlier call/s)
  const changed = readFileSync(home.path('pg_wal', third))
  changed[300_000]! ^= 1
  writeFileSync(home.path('pg_wal', third), changed)
  expect((await home.run('wal', 'push', home.path('pg_wal', third))).stderr).toContain('WAL_CONFLICT')
  expect((await home.run('wal', 'push', home.path('pg_wal', fourth))).stderr).toContain('SOURCE_DAMAGED')

  const target = home.path('fetched')
  const fetched = await home.run('wal', 'get', name, target)
  expect(`${fetched.code} ${fetched.stderr}`).toMatch(/^0 /)
  expect(readFileSync(target).equals(readFileSync(join(wal, name)))).toBe(true)
  const missing = await home.run('wal', 'get', '0000000100000000000000FF', home.path('none'))
  expect(`${missing.code} ${missing.stderr}`).toMatch(/^1 .*is not stored/s)
  expect((await home.run('wal', 'get', '00000009.history', home.path('none'))).code).toBe(1)
  expect((await home.run('wal', 'get', '../../etc/passwd', home.path('none'))).code).not.toBe(0)
  // A store that is away must not end a recovery.
  renameSync(home.path('backups'), home.path('away'))
  expect((await home.run('wal', 'get', name, home.path('none'))).code).toBe(126)
  // These came with the first one, and are the very pieces that the catalog names.
  for (const one of [first, second, third]) {
    const here = await home.run('wal', 'get', one, target)
    expect(`${here.code} ${here.stderr}`).toMatch(/^0 /)
    expect(readFileSync(target).equals(readFileSync(join(wal, one)))).toBe(true)
  }
  expect((await home.run('wal', 'get', first, home.path('none'))).code).toBe(126)
  expect(readdirSync(home.folder)).not.toContain('none')
})
