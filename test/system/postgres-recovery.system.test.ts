import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres, startRestored, type RealPostgres } from '@salvor/testkit/real/postgres'
import { clinicState, createClinicPg, startPgWriter } from '@salvor/testkit/real/postgres-load'
import { expect, test } from 'vitest'
import { makeHome, until, type Ended, type Home } from './salvor.ts'

interface Window {
  readonly stretches: readonly { earliest_at: string; latest_at: string; timeline: number; end_lsn: string }[]
  readonly gaps: readonly unknown[]
}

interface Found {
  readonly at: string
  readonly results: readonly { columns: string[]; rows: string[][] }[]
}

const SMALL_SEGMENTS = { settings: { max_slot_wal_keep_size: '1GB' }, initdb: ['--wal-segsize=1'] } as const

async function configured(url: string): Promise<Home> {
  const home = await makeHome()
  await home.configure(`stores:
  local: { kind: local, path: ./backups }
  second: { kind: local, path: ./second }
encryption: { keyring_file: ./keys.json }
sources:
  clinic:
    engine: postgres
    url: "${url}"
    schedule: { full: "0 2 * * 0", wal: stream }
    wal: { tail: 1s }
    verify: { full: none }
`)
  await home.run('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem')
  return home
}

const window = async (home: Home): Promise<Window> => (await home.run('window', 'clinic', '--json')).json<Window>()

/** The server's clock and position. */
async function here(server: RealPostgres): Promise<{ at: string; lsn: string }> {
  const [row] = await server.query(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at, pg_current_wal_lsn()::text AS lsn`,
  )
  return { at: String(row!['at']), lsn: String(row!['lsn']) }
}

/** Until everything that was committed before `at` is stored. */
async function stored(home: Home, at: string): Promise<Window> {
  return until(`WAL up to ${at}`, async () => {
    const seen = await window(home)
    return seen.stretches.some(({ latest_at }) => latest_at >= at) && seen
  })
}

async function restoredRows(
  home: Home,
  name: string,
  ...target: string[]
): Promise<{ ended: Ended; rows: number; patients: number }> {
  const ended = await home.run('restore', 'clinic', '--to', home.path(name), ...target, '--json')
  expect(`${ended.code} ${ended.stderr}`).toMatch(/^0 /)
  await using copy = await startRestored(17, home.path(name))
  await until(
    'the end of recovery',
    async () => (await copy.query('SELECT pg_is_in_recovery() AS is'))[0]!['is'] === false,
  )
  const { visits, patients, consistent } = await clinicState(copy.url)
  expect(consistent).toBe(true)
  return { ended, rows: visits, patients }
}

test('a DELETE by mistake is undone: the WAL is streamed, and any instant comes back, from any store', async () => {
  await using server = await startPostgres({ major: 17, ...SMALL_SEGMENTS })
  await createClinicPg(server.url, { rows: 2000 })
  await using home = await configured(server.url)
  const worker = home.service('backup-worker')
  home.service('replicator')
  await until('a first backup', async () => (await window(home)).stretches.length > 0).catch((error) => {
    throw new Error(worker.log().slice(-6000), { cause: error })
  })
  const writer = startPgWriter(server.url, { tps: 200 })
  await until('some visits', async () => (await clinicState(server.url)).visits > 300)
  await writer.stop()
  const before = { ...(await here(server)), ...(await clinicState(server.url)) }
  await server.query("SELECT pg_create_restore_point('before the mistake')")
  await new Promise((resolve) => setTimeout(resolve, 1200))
  await server.query('DELETE FROM patients WHERE id % 2 = 0')
  // Killed in mid-stream: another one goes on without a hole.
  await worker.kill('SIGKILL')
  home.service('backup-worker')
  await using after = startPgWriter(server.url, { tps: 200 })
  await until('more visits', async () => (await clinicState(server.url)).visits > before.visits + 200)
  await after.stop()
  const end = { ...(await here(server)), ...(await clinicState(server.url)) }
  const seen = await stored(home, end.at)
  expect(seen.gaps).toEqual([])
  expect(seen.stretches).toHaveLength(1)

  const byTime = await restoredRows(home, 'by-time', '--at', before.at)
  expect([byTime.rows, byTime.patients]).toEqual([before.visits, 2000])
  expect(byTime.ended.json<{ recovered_to: string }>().recovered_to).toBe(before.at)
  const byName = await restoredRows(home, 'by-name', '--name', 'before the mistake')
  expect([byName.rows, byName.patients]).toEqual([before.visits, 2000])
  const byPosition = await restoredRows(home, 'by-position', '--lsn', before.lsn)
  expect([byPosition.rows, byPosition.patients]).toEqual([before.visits, 2000])
  const latest = await restoredRows(home, 'latest', '--at', 'latest')
  expect([latest.rows, latest.patients]).toEqual([end.visits, 1000])

  const look = ['--name', 'before the mistake', '--pause', '--start'] as const
  const paused = await home.run('restore', 'clinic', '--to', home.path('paused'), ...look)
  expect(`${paused.code} ${paused.stdout}`).toMatch(/^0 [^]*started: stopped .* timeline 1, it pauses there/)
  expect(readdirSync(home.path('paused'))).toContain('recovery.signal')

  // Nobody has to know when it was: the backup and the WAL behind it are asked, at instants half-way.
  const mistake = ['--sql', 'SELECT count(*) FROM patients', '--resolution', '4s', '--json']
  const search = (await home.run('find-change', 'clinic', ...mistake)).json<{
    changes: { before: Found; after: Found; restore: string }[]
  }>()
  expect(search.changes).toMatchObject([{ before: { results: [{ columns: ['count'], rows: [['2000']] }] } }])
  const [change] = search.changes
  expect(change!.after.results[0]!.rows).toEqual([['1000']])
  expect(change!.before.at < change!.after.at && change!.after.at >= before.at).toBe(true)
  expect(Date.parse(change!.after.at) - Date.parse(change!.before.at)).toBeLessThanOrEqual(4001)
  expect(change!.restore).toMatch(/^salvor restore clinic --(at|backup) /)

  const count = ['--sql', 'SELECT count(*) FROM patients'] as const
  const then = await home.run('open', 'clinic', '--at', before.at, ...count)
  expect(then.stdout).toBe('count\n2000\n')
  const prompt = await home.run('open', 'clinic')
  expect([prompt.code, prompt.stderr]).toEqual([2, expect.stringContaining('READING_UNSUPPORTED')])

  const tomorrow = await home.run('restore', 'clinic', '--to', home.path('never'), '--at', '2099-01-01 00:00', '--json')
  expect(tomorrow.code).toBe(2)
  expect(tomorrow.stdout).toContain('TARGET_OUTSIDE_WINDOW')
  expect(readdirSync(home.folder)).not.toContain('never')

  // The other store alone, without the catalog: it has whole segments only.
  await server.query('SELECT pg_switch_wal()')
  const url = `file://${home.path('second')}`
  const keys = ['--keys', home.path('keys.json')]
  await until('segments in the other store', async () => {
    const there = (await home.run('window', 'clinic', '--from', url, ...keys, '--json')).json<Window>()
    return there.stretches.some(({ latest_at }) => latest_at > before.at)
  })
  const alone = await restoredRows(home, 'alone', '--from', url, ...keys, '--at', before.at)
  expect([alone.rows, alone.patients]).toEqual([before.visits, 2000])

  // A proof of the newest backup takes the WAL behind the one before along.
  expect((await home.run('backup', 'clinic', '--json')).code).toBe(0)
  const proof = await proven(home)
  expect(proof.checks).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'WAL in local', ok: true }),
      expect.objectContaining({ name: 'WAL in second', ok: true }),
      expect.objectContaining({ name: 'recovery to the latest instant', ok: true }),
    ]),
  )
  const folder = home.path('second', 'clinic', 'wal', '00000001')
  const segments = readdirSync(folder).filter((name) => /^[0-9A-F]{24}\.json$/.test(name))
  const [first, second] = segments.toSorted().slice(-3)
  // Gone in one store: it comes from the other one again. Damaged in both: no recovery crosses it, and that is told.
  rmSync(join(folder, first!))
  const damaged = second!.replace('.json', '')
  for (const store of ['second', 'backups'])
    flipBit(home.path(store, 'clinic', 'wal', '00000001', `${damaged}.zst.enc`))
  const found = await proven(home, 'decode')
  expect(found.code).toBe(4)
  expect(found.checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['WAL in local', 'WAL in second'])
  expect((await window(home)).gaps).toMatchObject([{ reason: expect.stringContaining(damaged) }])
  await until('the piece to be there again', async () => existsSync(join(folder, first!)))
})

interface Checked {
  readonly code: number | null
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[]
}

async function proven(home: Home, level = 'restore'): Promise<Checked> {
  const ended = await home.run('verify', 'latest', 'clinic', '--level', level, '--json')
  return { code: ended.code, checks: ended.json<Checked>().checks }
}

function flipBit(file: string): void {
  const bytes = readFileSync(file)
  const at = bytes.length >> 1
  bytes[at] = bytes[at]! ^ 1
  chmodSync(file, 0o600)
  writeFileSync(file, bytes)
}
