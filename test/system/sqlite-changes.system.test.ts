import { readdirSync } from 'node:fs'
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createClinic, assertInvariant, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { openElsewhere, type Elsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { instantOf } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { makeHome, until, type Ended, type Home } from './salvor.ts'

interface Window {
  readonly stretches: readonly { earliest_at: string; latest_at: string; backups: string[]; change_sets: number }[]
  readonly gaps: readonly { reason: string }[]
}

interface Seen {
  readonly at: string
  readonly results: readonly { readonly rows: readonly unknown[][] }[]
}

interface Found {
  readonly changes: readonly { readonly before: Seen; readonly after: Seen; readonly restore: string }[]
  readonly unreadable: readonly unknown[]
}

interface Asked {
  readonly consistent_at: string
  readonly results: Seen['results']
}

async function configured(): Promise<Home> {
  const home = await makeHome()
  createClinic(home.path('desk.db'), { rows: 500 })
  await home.configure(`stores:
  local: { kind: local, path: ./backups }
  second: { kind: local, path: ./second }
encryption: { keyring_file: ./keys.json }
sources:
  desk:
    engine: sqlite
    path: ./desk.db
    schedule: { full: "0 2 * * 0", changes: stream }
    verify: { full: none }
`)
  await home.run('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem')
  return home
}

const window = async (home: Home): Promise<Window> => (await home.run('window', 'desk', '--json')).json<Window>()
const now = (): string => instantOf(BigInt(Date.now()) * 1000n)
const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A worker that was killed is followed by the next one within seconds, on a machine that has time for it. */
const PATIENCE_MS = 120_000

async function stored(home: Home, at: string): Promise<Window> {
  const look = async (): Promise<Window | false> => {
    const seen = await window(home)
    return seen.stretches.some(({ earliest_at, latest_at }) => earliest_at <= at && latest_at >= at) && seen
  }
  return until(`changes up to ${at}`, look, PATIENCE_MS)
}

/** The ends of all sets, by their documents. */
async function instants(home: Home): Promise<string[]> {
  const folder = home.path('backups/desk/changes')
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.json'))
  const documents = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
  return documents.map((text) => (JSON.parse(text) as { to_at: string }).to_at)
}

async function restored(
  home: Home,
  name: string,
  ...more: string[]
): Promise<Ended & { visits: number; patients: unknown }> {
  const ended = await home.run('restore', 'desk', '--to', home.path(name), ...more, '--json')
  expect(`${ended.code} ${ended.stdout} ${ended.stderr}`).toMatch(/^0 /)
  const { transactions: visits } = assertInvariant(home.path(name))
  await using copy: Elsewhere = await openElsewhere(home.path(name))
  return { ...ended, visits, patients: await copy.get('SELECT count(*) FROM patients') }
}

test('rows deleted by mistake are found and come back as of a moment before, through a kill of worker and writer, from any store, and in place', async () => {
  await using home = await configured()
  const worker = home.service('backup-worker')
  home.service('replicator')
  await using writer = await startWriter(home.path('desk.db'), { tps: 100 })
  await until('a first line', async () =>
    (await window(home)).stretches.some(({ change_sets }) => change_sets > 1),
  ).catch((error: unknown) => {
    throw new Error(worker.log().slice(-6000), { cause: error })
  })
  // The application dies in the middle of its work, and so does the worker.
  await writer.kill()
  await rest(2_500)
  const before = now()
  await using application = await openElsewhere(home.path('desk.db'))
  const visits = Number(await application.get("SELECT count(*) FROM visits WHERE reason = 'writer'"))
  await rest(1_200)
  // One mistake is one commit: a set may end between two.
  await application.exec(
    'PRAGMA foreign_keys = OFF; BEGIN; DELETE FROM images; DELETE FROM visits; DELETE FROM patients WHERE id > 100; COMMIT',
  )
  // Read and stored: what is neither when a worker dies can be lost where the log begins anew meanwhile.
  await stored(home, now())
  await worker.kill('SIGKILL')
  await application.exec('CREATE TABLE after_it (x)')
  const second = home.service('backup-worker')
  const seen = await stored(home, now()).catch((error: unknown) => {
    throw new Error(second.log().slice(-6000), { cause: error })
  })
  expect(seen.gaps).toEqual([])

  const byTime = await restored(home, 'by-time.db', '--at', before)
  expect([byTime.visits, byTime.patients]).toEqual([visits, 500])
  expect(byTime.json<{ recovered_to: string }>().recovered_to <= before).toBe(true)
  const refused = await home.run('restore', 'desk', '--to', home.path('never'), '--at', '2099-01-01 00:00', '--json')
  expect([refused.code, refused.stdout]).toEqual([2, expect.stringContaining('TARGET_OUTSIDE_WINDOW')])
  expect(readdirSync(home.folder)).not.toContain('never')

  // Nobody knows when it was: the two instants of the stream next to it, and the one before comes back.
  const count = 'SELECT count(*) FROM patients'
  const found = (await home.run('find-change', 'desk', '--sql', count, '--json')).json<Found>()
  const [change] = found.changes
  const sides = [change!.before, change!.after].map(({ results }) => results[0]?.rows)
  expect([found.changes.length, found.unreadable, ...sides]).toEqual([1, [], [[500]], [[100]]])
  const [last, next] = [change!.before.at, change!.after.at]
  expect(before <= next && last < next).toBe(true)
  const sets = await instants(home)
  expect(sets.filter((at) => last < at && at < next)).toEqual([])
  expect(sets).toContain(next)
  const asked = async (at: string) =>
    (await home.run('open', 'desk', '--at', at, '--sql', count, '--json')).json<Asked>()
  expect(await asked(last)).toMatchObject({ consistent_at: last, results: [{ rows: [[500]] }] })
  expect(await asked(before)).toMatchObject({ results: [{ rows: [[500]] }] })
  expect(await asked(next)).toMatchObject({ consistent_at: next, results: [{ rows: [[100]] }] })
  expect(await asked('latest')).toMatchObject({ results: [{ rows: [[100]] }] })
  expect(await asked('2099-01-01 00:00')).toMatchObject({ error: { code: 'TARGET_OUTSIDE_WINDOW' } })
  // What was undone between two backups is found among all instants, and every step of it is named.
  for (const sql of [
    'DELETE FROM patients WHERE id = 1',
    'INSERT INTO patients (id, name, born) SELECT 1, name, born FROM patients WHERE id = 2',
  ]) {
    await rest(1_200)
    await application.exec(sql)
  }
  await stored(home, now())
  const steps = (await home.run('find-change', 'desk', '--sql', count, '--every', '--json')).json<Found>().changes
  expect(steps.map(({ before, after }) => [before, after].map(({ results }) => results[0]?.rows[0]))).toEqual([
    [[500], [100]],
    [[100], [99]],
    [[99], [100]],
  ])
  expect(steps[0]).toEqual(change)
  const words = change!.restore.replace('--to NEW_PLACE', '').trim().split(' ').slice(3)
  expect(words).toEqual(['--at', last])
  expect((await restored(home, 'found.db', ...words)).patients).toBe(500)

  // The other store alone, without the catalog.
  const url = `file://${home.path('second')}`
  const keys = ['--keys', home.path('keys.json')]
  await until('sets in the other store', async () => {
    const there = (await home.run('window', 'desk', '--from', url, ...keys, '--json')).json<Window>()
    return there.stretches.some(({ latest_at }) => latest_at > before)
  })
  const alone = await restored(home, 'alone.db', '--from', url, ...keys, '--at', before)
  expect([alone.visits, alone.patients]).toEqual([visits, 500])
  const mended = await spoilt(home.path('second/desk/changes'), before)
  const older = await home.run('restore', 'desk', '--to', home.path('older.db'), '--from', url, ...keys, '--at', before)
  expect([older.code, older.stderr]).toEqual([expect.any(Number), expect.stringContaining('TARGET_OUTSIDE_WINDOW')])
  expect(readdirSync(home.folder)).not.toContain('older.db')
  await mended()

  await application[Symbol.asyncDispose]()
  const inPlace = await home.run(
    'restore',
    'desk',
    '--to',
    home.path('desk.db'),
    '--in-place',
    '--at',
    before,
    '--json',
  )
  expect(`${inPlace.code} ${inPlace.stdout}`).toMatch(/^0 /)
  expect(assertInvariant(home.path('desk.db')).transactions).toBe(visits)
  // A byte that flips in what is needed: refused, and nothing is left. The restore may have begun another line, so it flips in every set.
  const folder = home.path('backups/desk/changes')
  for (const name of await readdir(folder, { recursive: true })) {
    if (!name.endsWith('.enc')) continue
    const file = join(folder, name)
    const bytes = await readFile(file)
    bytes[bytes.length >> 1]! ^= 1
    await chmod(file, 0o600)
    await writeFile(file, bytes)
  }
  const bad = await home.run(
    'restore',
    'desk',
    '--to',
    home.path('bad.db'),
    '--at',
    before,
    '--from',
    'local',
    '--json',
  )
  expect([bad.code, bad.stdout]).toEqual([4, expect.stringContaining('ARTIFACT_CORRUPT')])
  expect(readdirSync(home.folder)).not.toContain('bad.db')
  const unread = await home.run('open', 'desk', '--at', before, '--from', 'local', '--sql', count, '--json')
  expect([unread.code, unread.stdout]).toEqual([4, expect.stringContaining('ARTIFACT_CORRUPT')])
  expect(await readdir(home.path('salvor-data/sandbox')).catch(() => [])).toEqual([])
})

/** Spoils the document of the set that brings the state of that instant; what is given mends it. */
async function spoilt(folder: string, at: string): Promise<() => Promise<void>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.json'))
  const end = (name: string): string => /-(\d{8}T\d{12}Z)/.exec(basename(name))?.[1] ?? ''
  const ends = names.map(end).filter((one) => one <= at.replaceAll(/[-:.]/g, ''))
  const last = ends.toSorted().at(-1)
  const files = names.filter((name) => end(name) === last).map((name) => join(folder, name))
  const before = await Promise.all(files.map((file) => readFile(file)))
  expect(files.length).toBeGreaterThan(0)
  const write = async (change: (bytes: Buffer) => Buffer): Promise<void> => {
    for (const [n, file] of files.entries()) {
      await chmod(file, 0o600)
      await writeFile(file, change(before[n]!))
    }
  }
  await write((bytes) => Buffer.from(bytes.toString().replace('"signature"', '"signaturf"')))
  return () => write((bytes) => bytes)
}
