import { readdir, readFile, writeFile } from 'node:fs/promises'
import Database from 'better-sqlite3'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { makeHome, type Home } from './salvor.ts'

const CONFIG = `
stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./keys.json }
sources:
  desk: { engine: sqlite, path: ./desk.db, verify: { full: none, incremental: none } }
`
const COUNT = 'SELECT count(*) FROM patients'

interface Taken {
  backup: { id: string; type: string; consistent_at: string; filename: string }
}
interface Read {
  backup: string
  results: { columns: string[]; rows: unknown[][] }[]
  error?: { code: string }
}
interface Found {
  changed: boolean
  changes: { before: { backup: string; results: object[] }; after: { backup: string }; restore: string }[]
  looked_at: number
  restore_points: number
  unreadable: { backup: string }[]
  error?: { code: string }
}

/** A full and incrementals on it; somebody deletes half of the patients before the fourth, and the table of visits before the fifth. */
async function history(home: Home): Promise<Taken['backup'][]> {
  createClinic(home.path('desk.db'), { rows: 1_000 })
  await home.configure(CONFIG)
  await home.run('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem')
  const taken: Taken['backup'][] = []
  for (const change of [
    null,
    'UPDATE patients SET seen = 1 WHERE id < 9',
    'UPDATE patients SET seen = 2 WHERE id < 9',
    'PRAGMA foreign_keys = OFF; DELETE FROM patients WHERE id > 500',
    'DROP TABLE visits',
  ]) {
    if (change !== null) {
      const database = new Database(home.path('desk.db'))
      database.exec(change)
      database.close()
    }
    const ended = await home.run('backup', 'desk', '--type', change === null ? 'full' : 'incremental', '--json')
    expect(ended.code, ended.stderr).toBe(0)
    taken.push(ended.json<Taken>().backup)
  }
  return taken
}

test('a backup answers where it lies, the newest and that of an instant; a change is found, named, and comes back', async () => {
  await using home = await makeHome()
  const taken = await history(home)
  const [full, second, third, fourth, fifth] = taken as [Taken['backup'], ...Taken['backup'][]]
  expect(taken.map(({ type }) => type)).toEqual(['full', ...Array.from({ length: 4 }, () => 'incremental')])

  const newest = await home.run('open', 'desk', '--sql', COUNT, '--json')
  expect(newest.json<Read>()).toMatchObject({ backup: fifth!.id, results: [{ columns: ['count(*)'], rows: [[500]] }] })
  const then = await home.run('open', 'desk', '--at', third!.consistent_at, '--sql', 'SELECT sum(seen) FROM patients')
  expect(then.stdout).toMatch(/^sum\(seen\)\n16\s*\n$/)
  const alone = await home.run('open', full.id, '--from', `file://${home.path('backups')}`, '--sql', COUNT, '--json')
  expect(alone.json<Read>().results[0]!.rows).toEqual([[1000]])
  const write = await home.run('open', 'desk', '--sql', 'DELETE FROM patients', '--json')
  expect([write.code, write.json<Read>().error?.code]).toEqual([2, 'QUERY_REFUSED'])

  const found = (await home.run('find-change', 'desk', '--sql', COUNT, '--json')).json<Found>()
  expect(found).toMatchObject({
    changed: true,
    changes: [{ before: { backup: third!.id, results: [{ rows: [[1000]] }] }, after: { backup: fourth!.id } }],
    restore_points: 5,
  })
  expect(found.looked_at).toBeLessThanOrEqual(4)
  const restore = found.changes[0]!.restore.replace('NEW_PLACE', home.path('back.db')).split(' ').slice(1)
  expect((await home.run(...restore)).code).toBe(0)
  const back = new Database(home.path('back.db'), { readonly: true })
  expect(back.prepare(COUNT).pluck().get()).toBe(1000)
  back.close()

  // A table that is gone is another answer; two ends that agree say so.
  const gone = await home.run('find-change', 'desk', '--sql', 'SELECT 1 FROM visits LIMIT 1')
  expect(gone.stdout).toContain('no such table: visits')
  expect(gone.stdout).toContain(fifth!.id)
  const until = ['--until', third!.consistent_at] as const
  const same = await home.run('find-change', 'desk', '--sql', COUNT, ...until)
  expect(same.stdout).toContain('the same answer')
  expect(same.stdout).toContain('--every')

  // A damaged copy is passed over and named, and never answers.
  const artifact = home.path('backups/desk', second!.filename)
  const bytes = await readFile(artifact)
  bytes[Math.floor(bytes.length / 2)]! ^= 1
  await writeFile(artifact, bytes)
  const damaged = await home.run('open', second!.id, '--sql', COUNT, '--json')
  expect([damaged.code, damaged.json<Read>().error?.code]).toEqual([4, 'ARTIFACT_CORRUPT'])
  const every = await home.run('find-change', 'desk', '--sql', COUNT, '--every', '--json', ...until)
  expect([every.code, every.json<Found>().error?.code]).toEqual([4, 'ARTIFACT_CORRUPT'])

  // What was asked and answered is nowhere: neither in the catalog nor in a file beside it.
  const files = await readdir(home.path('salvor-data'), { recursive: true, withFileTypes: true })
  for (const entry of files.filter((one) => one.isFile())) {
    const content = await readFile(`${entry.parentPath}/${entry.name}`)
    expect(content.includes('FROM patients'), entry.name).toBe(false)
  }
})
