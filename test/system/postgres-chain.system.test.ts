import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { createClinicPg, startPgWriter } from '@salvor/testkit/real/postgres-load'
import { expect, test } from 'vitest'
import { makeHome, SALVOR } from './salvor.ts'

interface Backup {
  readonly id: string
  readonly filename: string
  readonly type: string
  readonly parent: string | null
  readonly consistent_at: string
}

test('incrementals of a PostgreSQL at work stand on each other, are proven, restored, merged, and put together without Salvor', async () => {
  await using server = await startPostgres({ major: 16, initdb: ['--data-checksums'] })
  await createClinicPg(server.url, { rows: 5000 })
  await using home = await makeHome()
  await home.configure(`stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./keys.json }
sources:
  clinic:
    engine: postgres
    url: "${server.url}"
    max_chain: 2
    at_max_chain: merge
    checks: [ "SELECT count(*) >= 5000 FROM patients" ]
`)
  const created = await home.run('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem')
  expect(created.stderr + created.stdout).not.toContain('error')
  const backUp = async (type: string): Promise<Backup> => {
    const ended = await home.run('backup', 'clinic', '--type', type, '--json')
    expect(`${ended.code} ${ended.stderr}`).toMatch(/^0 /)
    return ended.json<{ backup: Backup }>().backup
  }
  const chain = [await backUp('full')]
  await using writer = startPgWriter(server.url, { tps: 100 })
  chain.push(await backUp('incremental'))
  const acknowledged = writer.lastVisit
  chain.push(await backUp('incremental'))
  await writer.stop()
  expect(chain.map(({ type }) => type)).toEqual(['full', 'incremental', 'incremental'])
  expect(chain.map(({ parent }) => parent)).toEqual([null, chain[0]!.id, chain[1]!.id])

  const verified = await home.run('verify', chain[2]!.id, '--level', 'restore')
  expect(`${verified.code} ${verified.stderr}`).toMatch(/^0 /)
  const restored = await home.run('restore', chain[2]!.id, '--to', home.path('restored'))
  expect(`${restored.code} ${restored.stderr}`).toMatch(/^0 /)
  // What comes below is of what this leaves.
  rmSync(home.path('restored/PG_VERSION'))
  const again = await home.run('restore', chain[2]!.id, '--to', home.path('restored'), '--delta', '--json')
  expect(`${again.code} ${again.stderr}`).toMatch(/^0 /)
  const [delta] = again.json<{ checks: { name: string; detail: string }[] }>().checks
  expect(delta).toMatchObject({ name: 'delta', detail: expect.stringMatching(/^\d+ of \d+ files were right/) })

  // The same as a stream, of the chain and of a full alone; a data folder is what tar makes of it.
  const full = await home.run('restore', chain[0]!.id, '--to', home.path('full'))
  expect(`${full.code} ${full.stderr}`).toMatch(/^0 /)
  for (const [what, folder] of [
    [chain[2]!.id, 'restored'],
    [chain[0]!.id, 'full'],
  ] as const) {
    const streamed = home.path(`streamed-${folder}`)
    mkdirSync(streamed)
    const line = `set -o pipefail; "$0" restore ${what} --to - | tar -xf - -C "$1"`
    const piped = spawnSync('bash', ['-c', line, SALVOR, streamed], { cwd: home.folder, encoding: 'utf8' })
    expect(`${piped.status} ${piped.stdout}`, piped.stderr).toBe('0 ')
    // The new manifest of a chain names the time at which it was made.
    const made = folder === 'restored' ? ['-x', 'backup_manifest'] : []
    const alike = spawnSync('diff', ['-r', '-q', ...made, streamed, home.path(folder)], { encoding: 'utf8' })
    expect(alike.stdout).toBe('')
  }
  expect((await home.run('restore', 'clinic', '--to', '-', '--json')).code).toBe(2)
  // The chain had its full length: a full was made of it, and the next one stands on that.
  const { backups } = (await home.run('list', 'clinic', '--json')).json<{ backups: Backup[] }>()
  const merged = backups[0]!
  expect(merged).toMatchObject({ type: 'full', parent: null, consistent_at: chain[2]!.consistent_at })
  const proven = await home.run('verify', merged.id, '--level', 'restore')
  expect(`${proven.code} ${proven.stderr}`).toMatch(/^0 /)
  const opened = await home.run('restore', merged.id, '--to', home.path('merged'))
  expect(`${opened.code} ${opened.stderr}`).toMatch(/^0 /)
  const paths = [home.path('merged'), home.path('restored')]
  expect(spawnSync('diff', ['-r', '-q', '-x', 'backup_manifest', ...paths]).stdout.toString()).toBe('')
  const stored = home.path('backups', 'clinic')
  const files = readdirSync(stored, { withFileTypes: true }).filter((entry) => entry.isFile())
  expect(await backUp('incremental')).toMatchObject({ type: 'incremental', parent: merged.id })

  // The ruin of a server cannot be backed up before it is replaced: it is kept as it is.
  rmSync(home.path('full', 'global', 'pg_control'))
  const ruin = await home.run('restore', chain[0]!.id, '--to', home.path('full'), '--in-place')
  expect(`${ruin.code} ${ruin.stderr}`).toMatch(/^0 /)
  expect(ruin.stdout).toMatch(/pre_restore {2}none could be taken/)
  const [kept] = readdirSync(home.folder).filter((name) => name.startsWith('full.before-'))
  expect(readdirSync(home.path(kept!, 'global'))).not.toContain('pg_control')
  expect(readdirSync(home.path('full', 'global'))).toContain('pg_control')

  // The same by hand, as each RECOVERY.md says.
  const place = home.path('by-hand')
  mkdirSync(place)
  for (const { name } of files) copyFileSync(`${stored}/${name}`, `${place}/${name}`)
  copyFileSync(home.path('recovery.pem'), `${place}/recovery.pem`)
  for (const [n, { filename }] of chain.entries()) {
    const text = readFileSync(`${place}/${filename.slice(0, filename.indexOf('.'))}.RECOVERY.md`, 'utf8')
    const blocks = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block)
    // What is below needs its first steps only: the last one puts the whole chain together.
    const script = (n === 1 ? blocks.slice(0, -1) : blocks).join('')
    const { status, stderr } = spawnSync('bash', ['-c', script], { cwd: place, encoding: 'utf8' })
    expect(`${status} ${stderr}`).toBe('0 ')
  }
  // Salvor's restore makes settings of its own, and takes the map of tablespaces out.
  const own = ['postgresql.auto.conf', 'tablespace_map', 'backup_manifest'].flatMap((name) => ['-x', name])
  const same = spawnSync('diff', ['-r', '-q', ...own, `${place}/restored`, home.path('restored')])
  expect(same.stdout.toString()).toBe('')
  expect(acknowledged).toBeGreaterThan(0)
}, 240_000)
