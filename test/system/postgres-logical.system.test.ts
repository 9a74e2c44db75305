import { existsSync, mkdirSync, readdirSync, readFileSync, copyFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { basename, join } from 'node:path'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { createClinicPg } from '@salvor/testkit/real/postgres-load'
import { expect, test } from 'vitest'
import { makeHome } from './salvor.ts'

const major = ([18, 17, 16, 15, 14, 13] as const).find((one) => existsSync(`/usr/lib/postgresql/${one}/bin/pg_dump`))
const bin = `/usr/lib/postgresql/${major}/bin`
if (major === undefined) console.log('logical dumps are not run: pg_dump is missing on this machine')

test.skipIf(major === undefined)(
  'a server that lets nobody replicate: dumped, proven, brought back by Salvor and without it',
  async () => {
    await using server = await startPostgres({ major: major! })
    await createClinicPg(server.url, { rows: 2000 })
    await using home = await makeHome()
    await home.configure(`stores:
  local: { kind: local, path: ./backups }
encryption: { keyring_file: ./keys.json }
sources:
  clinic:
    engine: postgres
    method: logical
    url: "${server.url}"
    checks: ["SELECT count(*) = 2000 FROM patients"]
`)
    await home.run('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem')
    const advice = await home.run('doctor', 'clinic')
    expect(advice.stdout).toMatch(/its interval is the RPO.*use physical backups/s)
    const refused = await home.run('backup', 'clinic', '--type', 'incremental')
    expect(`${refused.code} ${refused.stderr}`).toMatch(/^2 .*incremental/s)
    const taken = await home.run('backup', 'clinic')
    expect(`${taken.code} ${taken.stderr}`).toMatch(/^0 /)
    const proven = await home.run('verify', 'latest', 'clinic', '--json')
    expect(proven.json<{ ok: boolean }>().ok).toBe(true)
    expect(proven.stdout).toContain('tables have the rows counted at the dump')

    await using other = await startPostgres({ major: major! })
    const back = await home.run('restore', 'clinic', '--to', other.url)
    expect(`${back.code} ${back.stderr}`).toMatch(/^0 /)
    expect(await other.query('SELECT count(*)::int AS n FROM patients')).toEqual([{ n: 2000 }])
    const again = await home.run('restore', 'clinic', '--to', other.url)
    expect(`${again.code} ${again.stderr}`).toMatch(/^2 .*is not empty/s)
    const secret = await home.run('restore', 'clinic', '--to', other.url.replace('postgres@', 'postgres:canary@'))
    expect(`${secret.code} ${secret.stderr}`).toMatch(/^2 .*holds a password/s)

    expect((await home.run('restore', 'clinic', '--list')).stdout).toMatch(
      /DATABASE {2}postgres {2}\d+\.\d MB {2}of postgres, UTF8/,
    )
    expect((await home.run('restore', 'clinic', '--list', '--database', 'postgres')).stdout).toMatch(
      /TABLE +public patients/,
    )
    expect((await home.run('restore', 'clinic')).code).toBe(2)
    const csv = await home.run(
      'export',
      'clinic',
      '--to',
      'csv',
      '--format',
      'csv',
      '--table',
      'public.patients',
      '--json',
    )
    const { files } = csv.json<{ files: { file: string; rows: number }[] }>()
    expect(files).toMatchObject([{ rows: 2000 }])
    expect(readFileSync(home.path('csv', files[0]!.file), 'utf8').split('\n').length).toBeGreaterThan(2000)
    const occupied = await home.run('export', 'clinic', '--to', 'csv')
    expect(`${occupied.code} ${occupied.stderr}`).toMatch(/^2 .*is not empty/s)

    // As RECOVERY.md says: its blocks, then its lines for pg_restore.
    const place = home.path('by-hand')
    mkdirSync(place)
    for (const name of readdirSync(home.path('backups', 'clinic'), { withFileTypes: true })) {
      if (name.isFile()) copyFileSync(home.path('backups', 'clinic', name.name), join(place, basename(name.name)))
    }
    copyFileSync(home.path('recovery.pem'), join(place, 'recovery.pem'))
    const text = readFileSync(
      join(
        place,
        readdirSync(place).find((name) => name.endsWith('.md'))!,
      ),
      'utf8',
    )
    const blocks = [...text.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block)
    const lines = [...text.matchAll(/^ {4}((?:psql|for) .*)$/gm)].map(([, line]) => line)
    expect(lines).toHaveLength(2)
    await using third = await startPostgres({ major: major! })
    const env = {
      PATH: `${bin}:${process.env['PATH']}`,
      PGHOST: '127.0.0.1',
      PGPORT: String(third.port),
      PGUSER: 'postgres',
    }
    await third.query('DROP DATABASE IF EXISTS clinic')
    const run = spawnSync('bash', ['-c', [...blocks, 'set +e', ...lines].join('\n')], {
      cwd: place,
      env,
      encoding: 'utf8',
    })
    const errors = run.stderr.split('\n').filter((line) => line.includes('ERROR:') && !line.includes('already exists'))
    expect(errors).toEqual([])
    expect(await third.query('SELECT count(*)::int AS n FROM patients')).toEqual([{ n: 2000 }])
  },
)
