import { mkdirSync, rmSync } from 'node:fs'
import { startReceiver } from '@salvor/testkit/real/message-receiver'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { makeHome, until, type Home } from './salvor.ts'

async function sourcesWithBackups(home: Home): Promise<string[]> {
  const ended = await home.run('list', '--json')
  if (ended.code !== 0) return []
  return [...new Set(ended.json<{ backups: { source: string }[] }>().backups.map(({ source }) => source))].toSorted()
}

test('a folder of databases: each is backed up, one that comes too, one that goes is told of, and one alone is restored', async () => {
  await using home = await makeHome()
  await using slack = await startReceiver()
  mkdirSync(home.path('tenants'))
  for (const name of ['a.db', 'with blank\n.db', 'gone.db']) createClinic(home.path('tenants', name), { rows: 20 })
  await home.configure(`
stores: { local: { kind: local, path: ./backups } }
sources:
  tenants: { engine: sqlite, paths: [ "./tenants/*.db" ], verify: { full: none } }
notify: { slack: { kind: slack, url: "${slack.slackUrl}" } }
`)
  for (const name of ['scheduler', 'backup-worker', 'notifier']) home.service(name)
  const first = ['tenants/a.db', 'tenants/gone.db', 'tenants/with%20blank%0A.db']
  await until('the first backups', async () => (await sourcesWithBackups(home)).length === 3)
  expect(await sourcesWithBackups(home)).toEqual(first)

  createClinic(home.path('tenants/new.db'), { rows: 20 })
  rmSync(home.path('tenants/gone.db'))
  await until(
    'a backup of the new file',
    async () => (await sourcesWithBackups(home)).includes('tenants/new.db'),
    90_000,
  )
  const message = await until('a message about the file that is gone', async () =>
    slack.messages.find(({ body }) => JSON.stringify(body).includes('File gone: tenants/gone.db')),
  )
  expect(JSON.stringify(message.body)).toContain('Its backups are kept')
  expect(await sourcesWithBackups(home)).toContain('tenants/gone.db')

  const restored = await home.run('restore', 'tenants/gone.db', '--to', home.path('back.db'), '--json')
  expect(restored.code, restored.stdout).toBe(0)
  const all = await home.run('backup', 'tenants', '--json')
  expect(all.code).toBe(2)
  expect(all.json<{ error: { message: string } }>().error.message).toContain('tenants stands for 3 files')
  const one = await home.run('backup', 'tenants/with%20blank%0A.db', '--type', 'incremental', '--json')
  expect(one.code, one.stdout).toBe(0)
  const doctor = await home.run('doctor', '--json')
  expect(doctor.stdout).toContain('files of tenants')
})
