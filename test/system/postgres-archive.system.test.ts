import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { createClinicPg } from '@salvor/testkit/real/postgres-load'
import { expect, test } from 'vitest'
import { makeHome } from './salvor.ts'

test('archive_command and restore_command: what is acknowledged is stored, and nothing false is', async () => {
  await using server = await startPostgres({ major: 17, initdb: ['--wal-segsize=1'] })
  await createClinicPg(server.url, { rows: 2000 })
  await server.query('SELECT pg_switch_wal()')
  await using home = await makeHome()
  await home.configure(`stores:
  local: { kind: local, path: ./backups }
encryption: { keyring_file: ./keys.json }
sources:
  clinic: { engine: postgres, url: "${server.url}", schedule: { full: "0 2 * * 0" } }
`)
  await home.run('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem')
  const wal = join(server.dataDir, 'pg_wal')
  const name = readdirSync(wal)
    .filter((file) => /^[0-9A-F]{24}$/.test(file))
    .toSorted()[0]!
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
  expect(readdirSync(home.folder)).not.toContain('none')
})
