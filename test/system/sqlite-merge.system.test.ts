import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { makeHome, type Home } from './salvor.ts'

const SETTINGS = `
stores:
  local: { kind: local, path: ./backups }
  far: { kind: local, path: ./far }
encryption: { keyring_file: ./keys.json }
sources:
  desk:
    engine: sqlite
    path: ./desk.db
    max_chain: 2
    at_max_chain: merge
    copies: { local: all, far: [full] }
`

interface Row {
  readonly id: string
  readonly type: string
  readonly state: string
  readonly parent: string | null
  readonly filename: string
  readonly consistent_at: string
  readonly copies: readonly { store: string; state: string }[]
}

async function begin(home: Home, rows: number): Promise<void> {
  createClinic(home.path('desk.db'), { rows })
  await home.configure(SETTINGS)
  await home.run('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem')
}

async function backUp(home: Home, type: string): Promise<Row> {
  const ended = await home.run('backup', 'desk', '--type', type, '--json')
  expect(ended.code, ended.stdout + ended.stderr).toBe(0)
  return ended.json<{ backup: Row }>().backup
}

/** Newest first. */
async function list(home: Home): Promise<readonly Row[]> {
  return (await home.run('list', 'desk', '--json')).json<{ backups: Row[] }>().backups
}

function change(home: Home, n: number): void {
  const database = new Database(home.path('desk.db'))
  database.exec(`UPDATE patients SET seen = ${n} WHERE id % 50 = ${n}; CREATE TABLE added_${n} (x)`)
  database.close()
}

async function restored(home: Home, backup: Row, name: string): Promise<Buffer> {
  const ended = await home.run('restore', backup.id, '--to', home.path(name))
  expect(ended.code, ended.stderr).toBe(0)
  return readFileSync(home.path(name))
}

const stem = ({ filename }: Row): string => filename.split('.')[0]!

/** Runs the commands of a RECOVERY.md; without the last block, which puts a chain together, where it is not the newest. */
function byHand(place: string, backup: Row, whole = true): void {
  const text = readFileSync(`${place}/${stem(backup)}.RECOVERY.md`, 'utf8')
  const blocks = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block)
  const script = (whole ? blocks : blocks.slice(0, -1)).join('')
  const { status, stderr } = spawnSync('bash', ['-c', script], { cwd: place, encoding: 'utf8' })
  expect(`${status} ${stderr}`).toBe('0 ')
}

test('a chain of full length is merged in the repository: a full like any other, and what incrementals stand on next', async (context) => {
  const programs = ['bash', 'sha256sum', 'zstd', 'openssl', 'python3']
  const missing = programs.filter((program) => spawnSync(program, ['--version']).error)
  if (missing.length > 0) context.skip(`needs ${missing.join(', ')}`)
  await using home = await makeHome()
  await begin(home, 800)
  await backUp(home, 'full')
  change(home, 1)
  await backUp(home, 'incremental')
  change(home, 2)
  const tip = await backUp(home, 'incremental')
  const merged = (await list(home))[0]!
  expect(merged).toMatchObject({ type: 'full', parent: null, consistent_at: tip.consistent_at })
  expect(merged.copies.map(({ store, state }) => `${store} ${state}`)).toEqual(['far completed', 'local completed'])
  const manifest = JSON.parse(readFileSync(home.path(`backups/desk/${stem(merged)}.manifest.json`), 'utf8')) as {
    engine_facts: Record<string, unknown>
    notices: string[]
  }
  expect(manifest.engine_facts).toMatchObject({ merged_backups: 3, merged_from: tip.id })
  expect(manifest.notices[0]).toContain(tip.filename)

  // The source moves on; the merged full holds what the chain held.
  change(home, 3)
  const bytes = await restored(home, merged, 'merged.db')
  expect(bytes.equals(await restored(home, tip, 'tip.db'))).toBe(true)
  const proven = await home.run('verify', merged.id, '--level', 'restore', '--json')
  expect(proven.json<{ ok: boolean }>().ok, proven.stdout).toBe(true)

  const next = await backUp(home, 'incremental')
  expect(next).toMatchObject({ type: 'incremental', parent: merged.id })
  const place = home.path('by-hand')
  mkdirSync(place)
  const stored = home.path('backups/desk')
  for (const name of readdirSync(stored)) {
    if (name.startsWith('backup_')) copyFileSync(`${stored}/${name}`, `${place}/${name}`)
  }
  copyFileSync(home.path('recovery.pem'), `${place}/recovery.pem`)
  byHand(place, merged)
  expect(readFileSync(`${place}/restored.db`).equals(bytes)).toBe(true)
  byHand(place, next)
  expect(readFileSync(`${place}/restored.db`).equals(await restored(home, next, 'next.db'))).toBe(true)
}, 240_000)

test('a merge that is killed leaves the chain as it was, backups go on, and the merge is made once', async () => {
  await using home = await makeHome()
  await begin(home, 3_000)
  await backUp(home, 'full')
  change(home, 1)
  await backUp(home, 'incremental')
  change(home, 2)
  const stored = home.path('backups/desk')
  const second = (): boolean => readdirSync(stored).filter((name) => name.includes('backup_full_')).length > 6
  const killed = await home.runWith({ killWhen: second }, 'backup', 'desk', '--type', 'incremental')
  expect(killed.code).toBeNull()
  const [tip, ...below] = await list(home)
  expect([tip!.type, below.length]).toEqual(['incremental', 2])

  // Taken before the command takes up what the killed one left.
  change(home, 3)
  expect((await backUp(home, 'incremental')).parent).toBe(tip!.id)
  const merged = (await list(home)).filter(
    ({ type, consistent_at }) => type === 'full' && consistent_at === tip!.consistent_at,
  )
  expect(merged).toHaveLength(1)
  const bytes = await restored(home, merged[0]!, 'merged.db')
  expect(bytes.equals(await restored(home, tip!, 'tip.db'))).toBe(true)
  change(home, 4)
  expect((await backUp(home, 'incremental')).parent).toBe(merged[0]!.id)
}, 300_000)

test('a chain that cannot be merged is told, leaves nothing behind, goes on to twice its length, and then a full is taken', async () => {
  await using home = await makeHome()
  await begin(home, 500)
  const full = await backUp(home, 'full')
  change(home, 1)
  const first = await backUp(home, 'incremental')
  const artifact = home.path('backups/desk', first.filename)
  const bytes = readFileSync(artifact)
  bytes[bytes.length >> 1]! ^= 1
  writeFileSync(artifact, bytes)
  for (const n of [2, 3, 4]) {
    change(home, n)
    const ended = await home.run('backup', 'desk', '--type', 'incremental')
    expect(`${ended.code} ${ended.stdout}`).toMatch(/^0 /)
    expect(ended.stdout).toContain(first.filename)
  }
  const backups = await list(home)
  expect(backups.map(({ type }) => type)).toEqual([...Array<string>(4).fill('incremental'), 'full'])
  const fulls = readdirSync(home.path('backups/desk')).filter((name) => name.startsWith('backup_full_'))
  expect(fulls.every((name) => name.startsWith(stem(full)))).toBe(true)
  change(home, 5)
  expect((await backUp(home, 'incremental')).type).toBe('full')
}, 240_000)
