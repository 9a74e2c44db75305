import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { expect, test } from 'vitest'
import { makeHome, SALVOR } from './salvor.ts'

interface Entry {
  readonly name: string
  readonly oid: string
  readonly bytes: number
}

test('the databases of a backup are listed and chosen from; damage that a delta restore meets is told as damage', async () => {
  await using server = await startPostgres({ major: 14 })
  await using home = await makeHome()
  const asked = home.path('hook-was-asked')
  await home.configure(`stores: { local: { kind: local, path: ./backups } }
sources:
  clinic:
    engine: postgres
    url: "${server.url}"
    hooks: { before: [touch, "${asked}"] }
`)
  for (const name of ['app', '"billing é"']) {
    await server.query(`CREATE DATABASE ${name}`)
  }
  await server.query('CREATE TABLE visits AS SELECT g, md5(g::text) FROM generate_series(1, 60000) g')
  const backUp = async (type: string): Promise<{ filename: string }> => {
    const ended = await home.run('backup', 'clinic', '--type', type, '--json')
    expect(`${ended.code} ${ended.stderr}`).toMatch(/^0 /)
    return ended.json<{ backup: { filename: string } }>().backup
  }
  const full = await backUp('full')
  await server.query('CREATE DATABASE later')
  await backUp('incremental')

  // What `--database` takes, with what the server says of it.
  const sql = 'SELECT oid::text, datname AS name, pg_database_size(oid)::float8 AS bytes FROM pg_database ORDER BY oid'
  const there = (await server.query(sql)) as unknown as Entry[]
  const listed = await home.run('restore', 'clinic', '--list', '--json')
  expect(`${listed.code} ${listed.stderr}`).toMatch(/^0 /)
  const { entries } = listed.json<{ entries: Entry[] }>()
  expect(entries.map(({ name, oid }) => ({ name, oid }))).toEqual(there.map(({ name, oid }) => ({ name, oid })))
  for (const [n, { bytes }] of entries.entries()) expect(Math.abs(bytes / there[n]!.bytes - 1)).toBeLessThan(0.1)
  expect((await home.run('restore', 'clinic', '--list')).stdout).toMatch(/DATABASE {2}billing é +\d\.\d MB +oid \d+\n/)

  // Some of them as a stream: what a restore to a folder makes.
  const wished = ['--backup', full.filename, '--database', 'app'] as const
  const folder = home.path('restored')
  const restored = await home.run('restore', 'clinic', ...wished, '--to', folder)
  expect(`${restored.code} ${restored.stderr}`).toMatch(/^0 /)
  const streamed = home.path('streamed')
  mkdirSync(streamed)
  const line = 'set -o pipefail; "$0" restore clinic --backup "$2" --database app --to - | tar -xf - -C "$1"'
  const args = ['-c', line, SALVOR, streamed, full.filename]
  const piped = spawnSync('bash', args, { cwd: home.folder, encoding: 'utf8' })
  expect(`${piped.status} ${piped.stdout}`, piped.stderr).toBe('0 ')
  expect(piped.stderr).toContain('not restored: billing é')
  expect(spawnSync('diff', ['-r', '-q', streamed, folder], { encoding: 'utf8' }).stdout).toBe('')

  const planned = await home.run('restore', 'clinic', ...wished, '--to', folder, '--plan', '--json')
  const plan = planned.json<{ bytes_to_write: number; refused_now: { code: string } }>()
  expect([planned.code, plan.refused_now.code]).toEqual([0, 'TARGET_NOT_EMPTY'])
  const billing = entries.find(({ name }) => name === 'billing é')!.bytes
  const whole = (
    await home.run('restore', 'clinic', '--backup', full.filename, '--to', folder, '--plan', '--json')
  ).json<typeof plan>()
  expect(plan.bytes_to_write).toBe(whole.bytes_to_write - billing)

  // A wrong name is refused before anything is stopped or copied.
  const wrong = await home.run('restore', 'clinic', '--database', 'ap', '--to', folder, '--in-place', '--json')
  expect([wrong.code, wrong.stdout]).toEqual([2, expect.stringContaining('it has app, billing é, later, postgres')])
  expect(existsSync(asked)).toBe(false)
  expect(readdirSync(home.path('backups', 'clinic')).filter((name) => name.startsWith('pre_restore'))).toEqual([])

  // Damage in the middle of the copy, met while the folder is half old and half new.
  const artifact = home.path('backups', 'clinic', full.filename)
  const bytes = readFileSync(artifact)
  const middle = bytes.length >> 1
  bytes[middle] = bytes[middle]! ^ 1
  chmodSync(artifact, 0o600)
  writeFileSync(artifact, bytes)
  rmSync(`${folder}/base`, { recursive: true })
  const delta = ['restore', 'clinic', '--backup', full.filename, '--to', folder, '--delta', '--json'] as const
  const broken = await home.run(...delta)
  const { error } = broken.json<{ error: { code: string; hint: string } }>()
  expect([broken.code, error]).toMatchObject([
    4,
    { code: 'DELTA_DAMAGED', hint: expect.stringContaining('half old and half new') },
  ])
  expect(existsSync(`${folder}/global/pg_control`)).toBe(false)
  // Once its copy is good the same again completes it.
  bytes[middle] = bytes[middle] ^ 1
  writeFileSync(artifact, bytes)
  const again = await home.run(...delta)
  expect(`${again.code} ${again.stderr}`).toMatch(/^0 /)
})
