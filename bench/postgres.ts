import { rmSync } from 'node:fs'
import { startArchiving } from './archiving-server.ts'
import { measure, medianCost, type Cost } from './measure.ts'
import { fillCluster } from './postgres-data.ts'
import { PgBackRest } from './pgbackrest.ts'
import type { Row } from './report.ts'
import { program, type Workplace } from './workplace.ts'

/** Full backup beside pg_basebackup and pgBackRest, restore beside pgBackRest. */
export async function benchPostgres(
  place: Workplace,
  options: { scale: number; rounds: number; say: (line: string) => void },
): Promise<Row[]> {
  await using archiving = await startArchiving(place, { archive_command: '/bin/true' })
  const { server, cluster } = archiving
  options.say(`filling a PostgreSQL ${server.version} cluster …`)
  options.say(`${((await fillCluster(server, options.scale)) / 1e6).toFixed(0)} MB`)
  place.write('salvor.yaml', configuration(server.url))
  await measure(place.salvor('keys', 'create', '--out', 'pg-keys.json', '--recovery', 'pg-recovery.pem'))
  const basebackup = program('pg_basebackup')
  const pgbackrest = program('pgbackrest')
  const costs = {
    salvor: [] as Cost[],
    restore: [] as Cost[],
    delta: [] as Cost[],
    native: [] as Cost[],
    drain: [] as Cost[],
  }
  const rest = pgbackrest === null ? null : new PgBackRest(pgbackrest, place, cluster)
  for (let round = 0; round < options.rounds; round += 1) {
    options.say(`PostgreSQL round ${round + 1} of ${options.rounds}`)
    place.fresh('backups')
    rmSync(place.path('salvor-data'), { recursive: true, force: true })
    costs.salvor.push(await measure(place.salvor('backup', 'clinic', '--json')))
    place.fresh('out')
    const restore = ['restore', 'clinic', '--to', place.path('out/pgdata')]
    costs.restore.push(await measure(place.salvor(...restore)))
    costs.delta.push(await measure(place.salvor(...restore, '--delta')))
    if (basebackup !== null) {
      const common = ['-d', server.url, '-c', 'fast', '-X', 'fetch', '-Ft', '--no-sync']
      const zstd = [...common, '-D', place.fresh('native'), '--compress=client-zstd:level=1,workers=2']
      costs.native.push(await measure({ command: basebackup, args: zstd }))
      const drain = { command: 'sh', args: ['-c', 'exec "$0" "$@" > /dev/null', basebackup, ...common, '-D', '-'] }
      costs.drain.push(await measure(drain))
    }
    await rest?.round()
  }
  const own = { full: medianCost(costs.salvor), restore: medianCost(costs.restore), delta: medianCost(costs.delta) }
  const native = costs.native.length > 0 ? medianCost(costs.native) : null
  const drain = costs.drain.length > 0 ? medianCost(costs.drain) : null
  const noNative = 'pg_basebackup is not installed here'
  const noRest = rest?.refusal ?? 'pgbackrest is not installed here'
  const peer =
    rest && rest.refusal === null
      ? { full: medianCost(rest.full), restore: medianCost(rest.restore), delta: medianCost(rest.delta) }
      : null
  return [
    {
      what: 'PostgreSQL full: wall / pg_basebackup client-zstd:level=1,workers=2',
      salvor: own.full.wall_s,
      peer: native?.wall_s ?? null,
      goal: 1,
      missing: noNative,
    },
    {
      what: 'PostgreSQL full: wall / raw drain',
      salvor: own.full.wall_s,
      peer: drain?.wall_s ?? null,
      goal: 1.4,
      missing: noNative,
    },
    {
      what: 'PostgreSQL full: wall / pgBackRest zst3+aes pm2',
      salvor: own.full.wall_s,
      peer: peer?.full.wall_s ?? null,
      goal: 1,
      missing: noRest,
    },
    {
      what: 'PostgreSQL full: client CPU / pgBackRest zst3+aes pm2',
      salvor: own.full.cpu_s,
      peer: peer?.full.cpu_s ?? null,
      goal: 1.1,
      missing: noRest,
    },
    {
      what: 'PostgreSQL restore: wall / pgBackRest pm2',
      salvor: own.restore.wall_s,
      peer: peer?.restore.wall_s ?? null,
      goal: 1.1,
      missing: noRest,
    },
    {
      what: 'PostgreSQL restore --delta, nothing changed: wall / pgBackRest pm2',
      salvor: own.delta.wall_s,
      peer: peer?.delta.wall_s ?? null,
      goal: 1,
      missing: noRest,
    },
    { what: 'PostgreSQL full: peak Pss MB / 256', salvor: own.full.peak_mb, peer: 256, goal: 1, missing: '' },
    { what: 'PostgreSQL restore: peak Pss MB / 256', salvor: own.restore.peak_mb, peer: 256, goal: 1, missing: '' },
    {
      what: 'PostgreSQL restore --delta: peak Pss MB / 256',
      salvor: own.delta.peak_mb,
      peer: 256,
      goal: 1,
      missing: '',
    },
  ]
}

function configuration(url: string): string {
  return `stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./pg-keys.json }
worker: { threads: 2 }
sources:
  clinic: { engine: postgres, url: "${url}", verify: { full: none } }
`
}
