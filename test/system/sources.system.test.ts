import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import Database from 'better-sqlite3'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { expect, test } from 'vitest'
import { makeHome, type Home } from './salvor.ts'

const store = 'stores: { local: { kind: local, path: ./backups } }'

async function refusal(
  home: Home,
  name: string,
): Promise<{ exit: number | null; code: string; message: string; hint: string }> {
  const ended = await home.run('backup', name, '--json')
  const { error } = ended.json<{ error: { code: string; message: string; hint: string } }>()
  return { exit: ended.code, ...error }
}

test('a source that is missing, is no database, or is locked is named with what to do', async () => {
  await using home = await makeHome()
  await writeFile(home.path('notes.db'), 'these are notes, not a database; '.repeat(100))
  createClinic(home.path('busy.db'), { rows: 10, journal: 'delete' })
  await home.configure(`${store}
sources:
  gone: { engine: sqlite, path: ./gone.db }
  notes: { engine: sqlite, path: ./notes.db }
  busy: { engine: sqlite, path: ./busy.db }
`)
  expect(await refusal(home, 'gone')).toMatchObject({
    exit: 1,
    code: 'SOURCE_MISSING',
    message: expect.stringContaining('gone.db'),
  })
  expect(await refusal(home, 'notes')).toMatchObject({ exit: 1, code: 'SOURCE_NOT_A_DATABASE' })
  const holder = new Database(home.path('busy.db'))
  holder.exec('BEGIN EXCLUSIVE')
  expect(await refusal(home, 'busy')).toMatchObject({ exit: 1, code: 'SOURCE_LOCKED' })
  holder.exec('ROLLBACK')
  holder.close()
  expect((await home.run('backup', 'busy')).code).toBe(0)
})

test('a wrong password, a role without the right and a server that is away are told apart', async () => {
  await using home = await makeHome()
  const hba = [
    'host all,replication guarded 127.0.0.1/32 scram-sha-256',
    'host all,replication plain 127.0.0.1/32 trust',
  ]
  await using server = await startPostgres({ major: 16, hba })
  await server.query("CREATE ROLE guarded LOGIN REPLICATION PASSWORD 'right'")
  await server.query('CREATE ROLE plain LOGIN')
  const at = (user: string) => `postgres://${user}@127.0.0.1:${server.port}/postgres`
  await home.configure(`${store}
sources:
  wrong: { engine: postgres, url: "${at('guarded:canary-wrong')}" }
  right: { engine: postgres, url: "${at('guarded:right')}" }
  weak: { engine: postgres, url: "${at('plain')}" }
  away: { engine: postgres, url: "postgres://postgres@127.0.0.1:1/postgres" }
`)
  const wrong = await refusal(home, 'wrong')
  expect(wrong).toMatchObject({ exit: 1, code: 'SOURCE_AUTH_FAILED' })
  expect(JSON.stringify(wrong)).not.toContain('canary-wrong')
  expect(await refusal(home, 'weak')).toMatchObject({
    exit: 1,
    code: 'SOURCE_PRIVILEGE_MISSING',
    hint: expect.stringContaining('REPLICATION'),
  })
  expect(await refusal(home, 'away')).toMatchObject({ exit: 1, code: 'SOURCE_UNREACHABLE' })
  expect((await home.run('backup', 'right')).code).toBe(0)
})

test('a full disk under the store fails loudly, leaves the older backup whole and no half one', async (context) => {
  await using home = await makeHome()
  createClinic(home.path('desk.db'), { rows: 4000 })
  await mkdir(home.path('backups'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=9m', 'none', home.path('backups')])
  context.skip(mounted.status !== 0, 'no right to mount a small disk')
  try {
    await home.configure(`${store}\nsources: { desk: { engine: sqlite, path: ./desk.db } }\n`)
    expect((await home.run('backup', 'desk')).code).toBe(0)
    const full = await refusal(home, 'desk')
    expect(full).toMatchObject({ exit: 1, code: 'STORE_FULL' })
    const { backups } = (await home.run('list', '--json')).json<{ backups: unknown[] }>()
    expect(backups).toHaveLength(1)
    expect((await home.run('verify', 'latest', '--level', 'decode')).code).toBe(0)
  } finally {
    spawnSync('umount', ['-l', home.path('backups')])
  }
})
