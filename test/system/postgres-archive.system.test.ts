import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { createClinicPg } from '@salvor/testkit/real/postgres-load'
import { expect, test } from 'vitest'
import { makeHome, until } from './salvor.ts'

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

  // What the server would hand over next is stored ahead, and each is acknowledged at its own call.
  mkdirSync(home.path('pg_wal', 'archive_status'), { recursive: true })
  const [first = '', second = '', third = '', fourth = ''] = names.slice(1)
  for (const one of [first, second, third, fourth]) {
    copyFileSync(join(wal, one), home.path('pg_wal', one))
    writeFileSync(home.path('pg_wal', 'archive_status', `${one}.ready`), '')
  }
  writeFileSync(home.path('pg_wal', fourth), 'no WAL at all')
  // A file that was changed a moment ago is compared with what is stored, byte by byte.
  await sleep(2_100)
  const inStore = () =>
    readdirSync(home.path('backups', 'clinic', 'wal', '00000001')).filter((key) => key.endsWith('.json'))
  const wanted = [name, first, second, third].map((one) => `${one}.json`)
  await until('files ahead of their calls', async () => {
    // The first of these calls starts the helper.
    expect((await home.run('wal', 'push', home.path('pg_wal', first))).code).toBe(0)
    return wanted.every((one) => inStore().includes(one))
  })
  expect(inStore()).toHaveLength(4)
  const ahead = await home.run('wal', 'push', home.path('pg_wal', second))
  expect(`${ahead.code} ${ahead.stdout}`).toMatch(/^0 .*ahead of its call/s)
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
  // Behind the one that was asked for, a helper fetches what follows.
  const held = () => readdirSync(home.path('salvor-data', 'wal-fetched', 'clinic'))
  await until('segments ahead of their calls', async () => {
    expect((await home.run('wal', 'get', name, target)).code).toBe(0)
    return existsSync(home.path('salvor-data', 'wal-fetched', 'clinic')) && held().length >= 3
  })
  // A store that is away must not end a recovery.
  renameSync(home.path('backups'), home.path('away'))
  expect((await home.run('wal', 'get', name, home.path('none'))).code).toBe(126)
  // These were fetched ahead, and are the very pieces that the catalog names.
  for (const one of [first, second, third]) {
    const here = await home.run('wal', 'get', one, target)
    expect(`${here.code} ${here.stderr}`).toMatch(/^0 /)
    expect(readFileSync(target).equals(readFileSync(join(wal, one)))).toBe(true)
  }
  expect((await home.run('wal', 'get', first, home.path('none'))).code).toBe(126)
  expect(readdirSync(home.folder)).not.toContain('none')
})

test('a helper that was killed, hangs, or cannot be asked keeps no file from being stored', async () => {
  await using home = await makeHome()
  await home.configure(`stores: { local: { kind: local, path: ./backups } }
sources: { clinic: { engine: postgres, url: "postgres://postgres@127.0.0.1:1/none", schedule: { full: "0 2 * * 0" } } }
`)
  const push = async (n: number, env: Record<string, string> = {}): Promise<string> => {
    const name = `0000000${n}.history`
    writeFileSync(home.path(name), `1\t0/${n}000000\tno recovery target specified\n`)
    const { code, stdout, stderr } = await home.runWith(
      { env: { TMPDIR: home.folder, ...env } },
      'wal',
      'push',
      home.path(name),
    )
    return `${code} ${stdout}${stderr}`
  }
  const helpers = () => helpersOf(home.path('salvor.yaml'))
  const listens = () =>
    readdirSync(home.folder, { recursive: true, encoding: 'utf8' }).some((name) => name.endsWith('.sock'))
  expect(await push(2)).toMatch(/^0 clinic/)
  expect(helpers(), 'one call alone needs none').toEqual([])
  await push(2)
  const [{ pid, words } = { pid: 0, words: '' }] = await until('a helper', async () => listens() && helpers())
  expect(words).toMatch(/--config \S+ wal helper $/)

  process.kill(pid, 'SIGSTOP')
  expect(await push(3)).toMatch(/^0 clinic/)
  // That one starts another, since nobody waits for the first any more.
  const other = await until('another helper', async () => helpers().find((each) => each.pid !== pid))
  await until('its socket', async () => listens())
  process.kill(pid, 'SIGCONT')
  await until('the end of the first one', async () => helpers().length === 1)
  process.kill(other.pid, 'SIGKILL')
  expect(await push(4)).toMatch(/^0 clinic/)

  // Where there is no Perl the command asks by itself.
  mkdirSync(home.path('bin'))
  const there = (program: string) => execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim()
  for (const program of ['readlink', 'dirname', 'find', 'node']) symlinkSync(there(program), home.path('bin', program))
  const plain = { PATH: home.path('bin'), SALVOR_WAL_HELPER: '' }
  await until('a helper of that environment', async () => {
    expect(await push(5, plain)).toMatch(/^0 clinic/)
    return helpers().length === 2 || (helpers().length === 1 && helpers()[0]?.pid !== other.pid)
  })
  expect(await push(6, { SALVOR_WAL_HELPER: 'off' })).toMatch(/^0 clinic/)
  for (const each of helpers()) process.kill(each.pid, 'SIGTERM')
  await until('the end of all', async () => helpers().length === 0)
})

/** Processes of this machine that serve a configuration. */
function helpersOf(config: string): { readonly pid: number; readonly words: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const words = readFileSync(join('/proc', name, 'cmdline'), 'utf8').replaceAll('\0', ' ')
      return words.includes(`--config ${config} wal helper`) ? [{ pid: Number(name), words }] : []
    } catch {
      return []
    }
  })
}
