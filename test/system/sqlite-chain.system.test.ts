import { spawnSync } from 'node:child_process'
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import Database from 'better-sqlite3'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { makeHome, SALVOR, type Home } from './salvor.ts'

const STORES = `
stores:
  local: { kind: local, path: ./backups }
  far: { kind: local, path: ./far }
sources:
  desk:
    engine: sqlite
    path: ./desk.db
    copies: { local: all, far: [incremental] }
`

interface Taken {
  backup: { id: string; type: string; parent: string | null; filename: string; size_bytes: number; copies: object[] }
  full_because: string | null
}

async function backUp(home: Home, type: string): Promise<Taken> {
  const ended = await home.run('backup', 'desk', '--type', type, '--json')
  expect(ended.code, ended.stdout).toBe(0)
  return ended.json<Taken>()
}

function change(home: Home, sql: string): void {
  const database = new Database(home.path('desk.db'))
  database.exec(sql)
  database.close()
}

test('a chain is taken, copied with what it stands on, proven and restored; a full where none can be built upon', async () => {
  await using home = await makeHome()
  createClinic(home.path('desk.db'), { rows: 1_000 })
  await home.configure(STORES)
  const first = await backUp(home, 'incremental')
  expect(first).toMatchObject({
    backup: { type: 'full', parent: null },
    full_because: expect.stringContaining('no full'),
  })
  change(home, 'UPDATE patients SET seen = 7 WHERE id = 500')
  const second = await backUp(home, 'incremental')
  expect(second).toMatchObject({ backup: { type: 'incremental', parent: first.backup.id }, full_because: null })
  expect(second.backup.size_bytes).toBeLessThan(first.backup.size_bytes / 10)
  change(home, 'CREATE TABLE added (x); INSERT INTO added VALUES (42)')
  const third = await backUp(home, 'incremental')
  expect(third.backup.parent).toBe(second.backup.id)

  // The other store takes incrementals only: what they stand on came along.
  const far = await readdir(home.path('far/desk'))
  expect(far.filter((name) => name.endsWith('.manifest.json'))).toHaveLength(3)

  const proven = await home.run('verify', third.backup.id, '--level', 'restore', '--from', 'far', '--json')
  expect(proven.json<{ ok: boolean }>().ok, proven.stdout).toBe(true)
  const restored = await home.run('restore', 'desk', '--to', home.path('back.db'))
  for (const [what, file] of [
    [third.backup.id, 'stream.db'],
    [first.backup.id, 'first.db'],
  ] as const) {
    const line = `"$0" restore ${what} --to - > ${file}`
    const piped = spawnSync('bash', ['-c', line, SALVOR], { cwd: home.folder, encoding: 'utf8' })
    expect(piped.status, piped.stderr).toBe(0)
  }
  expect(await readFile(home.path('stream.db'))).toEqual(await readFile(home.path('back.db')))
  expect(new Database(home.path('first.db')).prepare('SELECT count(*) AS n FROM patients').get()).toEqual({ n: 1000 })
  expect(restored.code, restored.stderr).toBe(0)
  const back = new Database(home.path('back.db'), { readonly: true })
  expect(back.prepare('SELECT x, (SELECT seen FROM patients WHERE id = 500) AS seen FROM added').get()).toEqual({
    x: 42,
    seen: 7,
  })
  back.close()

  // A link whose copies are all gone is not built upon, and what stands on it does not come back.
  for (const store of ['backups', 'far']) await rm(home.path(`${store}/desk/${second.backup.filename}`))
  await home.run('verify', second.backup.id, '--level', 'checksum', '--from', 'local')
  await home.run('verify', second.backup.id, '--level', 'checksum', '--from', 'far')
  const broken = await home.run('restore', third.backup.id, '--to', home.path('broken.db'), '--json')
  expect(broken.code).not.toBe(0)
  const fourth = await backUp(home, 'incremental')
  expect(fourth.backup).toMatchObject({ type: 'incremental', parent: first.backup.id })
  change(home, "UPDATE visits SET findings = 'x' || id || findings; UPDATE patients SET notes = id || notes; VACUUM")
  const fifth = await backUp(home, 'incremental')
  expect(fifth).toMatchObject({
    backup: { type: 'full' },
    full_because: expect.stringContaining('% of the pages changed'),
  })
})

test('a chain comes back without Salvor, by the RECOVERY.md files of its links', async (context) => {
  const programs = ['bash', 'sha256sum', 'zstd', 'python3']
  const missing = programs.filter((program) => spawnSync(program, ['--version']).error)
  if (missing.length > 0) context.skip(`needs ${missing.join(', ')}`)
  await using home = await makeHome()
  createClinic(home.path('desk.db'), { rows: 500 })
  await home.configure(STORES)
  const chain = [await backUp(home, 'full')]
  change(home, 'UPDATE patients SET seen = 7 WHERE id = 50')
  chain.push(await backUp(home, 'incremental'))
  change(home, 'DELETE FROM visits WHERE id > 2400')
  chain.push(await backUp(home, 'incremental'))
  const place = home.path('by-hand')
  await mkdir(place)
  for (const name of await readdir(home.path('backups/desk'))) {
    if (name.startsWith('backup_')) await copyFile(home.path(`backups/desk/${name}`), `${place}/${basename(name)}`)
  }
  for (const [n, { backup }] of chain.entries()) {
    const text = await readFile(`${place}/${backup.filename.split('.')[0]}.RECOVERY.md`, 'utf8')
    const blocks = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block)
    const script = (n > 0 && n < chain.length - 1 ? blocks.slice(0, -1) : blocks).join('')
    await writeFile(`${place}/${n}.sh`, script)
    const { status, stderr } = spawnSync('bash', [`${n}.sh`], { cwd: place, encoding: 'utf8' })
    expect(`${status} ${stderr}`).toBe('0 ')
  }
  change(home, 'PRAGMA wal_checkpoint(TRUNCATE)')
  expect((await readFile(`${place}/restored.db`)).equals(await readFile(home.path('desk.db')))).toBe(true)
})
