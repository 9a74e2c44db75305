import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { newerPrograms } from '@salvor/testkit/real/postgres-programs'
import { startArchiving } from './archiving-server.ts'
import { added, measure, median, medianCost, type Added } from './measure.ts'
import { refusalOf } from './pgbackrest.ts'
import { pgbackrestIn } from './pgbackrest-place.ts'
import { fillCluster } from './postgres-data.ts'
import type { Row } from './report.ts'
import { bytesIn, program, type Workplace } from './workplace.ts'

/** One of a hundred visits, each in a page of its own; and a hundredth of them that lie together. */
export const CHANGES = {
  scattered: (round: number) =>
    `UPDATE visits SET note = note || '{"changed": ${round}}' WHERE id % 100 = ${round % 100}`,
  together: (round: number) => `UPDATE visits SET note = note || '{"changed": ${round}}'
    WHERE id BETWEEN (SELECT max(id) * ${round + 1} / 20 FROM visits) AND (SELECT max(id) * ${round + 1} / 20 + max(id) / 100 FROM visits)`,
}
type Kind = keyof typeof CHANGES

/** Incrementals by comparing pages (before PostgreSQL 17) beside those of pgBackRest, after 1 % of rows changed. */
export async function benchIncrementals(
  place: Workplace,
  options: { scale: number; rounds: number; say: (line: string) => void },
): Promise<Row[]> {
  process.env['TMPDIR'] = place.folder
  const settings = { archive_command: '/bin/true', autovacuum: 'off' }
  await using archiving = await startArchiving(place, settings)
  const { server, cluster } = archiving
  options.say(`filling a PostgreSQL ${server.version} cluster …`)
  options.say(`${((await fillCluster(server, options.scale)) / 1e6).toFixed(0)} MB`)
  place.write('salvor.yaml', configuration(server.url))
  await measure(place.salvor('keys', 'create', '--out', 'inc-keys.json', '--recovery', 'inc-recovery.pem'))
  const { program: pgbackrest, lines, form } = incrementalPgBackRest()
  const rest = pgbackrest === null ? null : pgbackrestIn(pgbackrest, place, cluster, lines)
  const own = { scattered: [] as Added[], together: [] as Added[] }
  const peer = { scattered: [] as Added[], together: [] as Added[] }
  let refusal = rest === null ? 'pgbackrest is not installed here' : null
  const backup = (type: string) => rest!.run('backup', `--type=${type}`, '--no-archive-check', '--start-fast')
  place.fresh('backups')
  const full = await measure(place.salvor('backup', 'clinic', '--json'))
  const whole = bytesIn(place.path('backups'))
  if (rest !== null) {
    try {
      await measure(rest.run('stanza-create'))
      await measure(backup('full'))
    } catch (error) {
      refusal = refusalOf(error)
    }
  }
  for (let round = 0; round < options.rounds; round += 1) {
    for (const kind of ['scattered', 'together'] as const) {
      options.say(`1 % of rows, ${kind}, round ${round + 1} of ${options.rounds}`)
      await server.query(CHANGES[kind](round))
      await server.query('CHECKPOINT')
      own[kind].push(
        await added(place.path('backups'), place.salvor('backup', 'clinic', '--type', 'incremental', '--json')),
      )
      if (rest !== null && refusal === null) peer[kind].push(await added(rest.repository, backup('incr')))
    }
  }
  const row = (what: string, kind: Kind, of: (cost: readonly Added[]) => number, goal: number | null): Row => ({
    what: `PostgreSQL 15, 1 % of rows ${kind}: ${what} / pgBackRest ${form}`,
    salvor: of(own[kind]),
    peer: refusal === null ? of(peer[kind]) : null,
    goal,
    missing: refusal ?? '',
  })
  const stored = (costs: readonly Added[]): number => median(costs.map((cost) => cost.stored)) / 1e6
  const wall = (costs: readonly Added[]): number => medianCost(costs).wall_s
  const cpu = (costs: readonly Added[]): number => medianCost(costs).cpu_s
  return [
    ...(['scattered', 'together'] as const).flatMap((kind) => [
      row('stored MB', kind, stored, 1),
      row('wall', kind, wall, null),
      row('client CPU', kind, cpu, null),
    ]),
    {
      what: 'PostgreSQL 15, 1 % of rows scattered: wall / own full',
      salvor: wall(own.scattered),
      peer: full.wall_s,
      goal: null,
      missing: '',
    },
    {
      what: 'PostgreSQL 15, 1 % of rows scattered: stored MB / own full',
      salvor: stored(own.scattered),
      peer: whole / 1e6,
      goal: null,
      missing: '',
    },
  ]
}

/** Since 2.46 it can store the changed blocks of a file; older ones store the file. */
function incrementalPgBackRest(): { program: string | null; lines: readonly string[]; form: string } {
  const { bin } = newerPrograms(17)
  const newer = bin === null ? '' : join(bin, 'pgbackrest')
  if (existsSync(newer))
    return { program: newer, lines: ['repo1-bundle=y', 'repo1-block=y'], form: 'incr, bundle and block' }
  return { program: program('pgbackrest'), lines: [], form: 'incr' }
}

function configuration(url: string): string {
  return `stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./inc-keys.json }
worker: { threads: 2 }
sources:
  clinic: { engine: postgres, url: "${url}", schedule: { full: "0 2 * * 0" }, verify: { full: none, incremental: none } }
`
}
