import { spawnSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { newerPrograms } from '@salvor/testkit/real/postgres-programs'
import { added, measure, median, medianCost, type Added, type Cost } from './measure.ts'
import { fillCluster } from './postgres-data.ts'
import { CHANGES } from './postgres-changes.ts'
import type { Row } from './report.ts'
import { bytesIn, type Workplace } from './workplace.ts'

const KINDS = ['scattered', 'together'] as const

/** Incrementals that the server itself takes, beside pg_basebackup; and what is restored of such a chain, beside pg_combinebackup. */
export async function benchNative(
  place: Workplace,
  options: { scale: number; rounds: number; say: (line: string) => void },
): Promise<Row[]> {
  const { bin, missing } = newerPrograms(17)
  if (bin === null) {
    options.say(missing)
    return []
  }
  process.env['TMPDIR'] = place.folder
  const settings = { summarize_wal: 'on', autovacuum: 'off', max_wal_size: '8GB' }
  await using server = await startPostgres({ major: 17, bin, settings, initdb: ['--data-checksums'] })
  options.say(`filling a PostgreSQL ${server.version} cluster …`)
  options.say(`${((await fillCluster(server, options.scale)) / 1e6).toFixed(0)} MB`)
  place.write('salvor.yaml', configuration(server.url))
  await measure(place.salvor('keys', 'create', '--out', 'native-keys.json', '--recovery', 'native-recovery.pem'))
  place.fresh('backups')
  await measure(place.salvor('backup', 'clinic', '--json'))
  const peer = new BaseBackups(place, server, bin)
  await peer.full()
  const own = { scattered: [] as Added[], together: [] as Added[], restore: [] as Cost[] }
  for (let round = 0; round < options.rounds; round += 1) {
    for (const kind of KINDS) {
      options.say(`1 % of rows, ${kind}, by the server, round ${round + 1} of ${options.rounds}`)
      await server.query(CHANGES[kind](round))
      await server.query('CHECKPOINT')
      const ours = async (): Promise<void> => {
        const taken = place.salvor('backup', 'clinic', '--type', 'incremental', '--json')
        own[kind].push(await added(place.path('backups'), taken))
      }
      // Who comes first finds fewer pages in memory, and a summarizer that may be behind.
      const turns = [ours, () => peer.increment(kind)]
      for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn()
    }
  }
  for (let round = 0; round < options.rounds; round += 1) {
    options.say(`restore of the chain, round ${round + 1} of ${options.rounds}`)
    place.fresh('out')
    own.restore.push(await measure(place.salvor('restore', 'clinic', '--to', place.path('out/pgdata'))))
    place.fresh('out')
    await peer.combine()
  }
  return rows(own, peer)
}

/** pg_basebackup into compressed tar files, each incremental on the one before; and those unpacked for pg_combinebackup. */
class BaseBackups {
  readonly scattered: Added[] = []
  readonly together: Added[] = []
  readonly restore: Cost[] = []
  readonly #place: Workplace
  readonly #bin: string
  readonly #common: readonly string[]
  readonly #unpacked: string[] = []

  constructor(place: Workplace, server: RealPostgres, bin: string) {
    this.#place = place
    this.#bin = bin
    this.#common = ['-d', server.url, '-c', 'fast', '-X', 'fetch', '-Ft', '--no-sync', '--compress=client-zstd:1']
  }

  async full(): Promise<void> {
    const folder = this.#place.fresh('base-0')
    await measure({ command: join(this.#bin, 'pg_basebackup'), args: [...this.#common, '-D', folder] })
    this.#unpack(folder)
  }

  async increment(kind: (typeof KINDS)[number]): Promise<void> {
    const folder = this.#place.fresh('base-next')
    const on = `--incremental=${join(this.#unpacked.at(-1)!, 'backup_manifest')}`
    const args = [...this.#common, on, '-D', folder]
    const cost = await measure({ command: join(this.#bin, 'pg_basebackup'), args })
    this[kind].push({ ...cost, stored: bytesIn(folder) })
    this.#unpack(folder)
  }

  async combine(): Promise<void> {
    const args = ['-o', this.#place.path('out/pgdata'), ...this.#unpacked]
    this.restore.push(await measure({ command: join(this.#bin, 'pg_combinebackup'), args }))
  }

  /** Not measured. */
  #unpack(folder: string): void {
    const into = this.#place.fresh(`unpacked-${this.#unpacked.length}`)
    const tar = spawnSync('tar', ['--zstd', '-xpf', join(folder, 'base.tar.zst'), '-C', into], { encoding: 'utf8' })
    if (tar.status !== 0) throw new Error(`tar: ${tar.stderr}`)
    copyFileSync(join(folder, 'backup_manifest'), join(into, 'backup_manifest'))
    this.#unpacked.push(into)
  }
}

interface Costs {
  readonly scattered: readonly Added[]
  readonly together: readonly Added[]
  readonly restore: readonly Cost[]
}

function rows(own: Costs, peer: Costs): Row[] {
  const row = (what: string, of: (costs: Costs) => number, goal: number | null): Row => ({
    what: `PostgreSQL 17, ${what}`,
    salvor: of(own),
    peer: of(peer),
    goal,
    missing: '',
  })
  const stored = (costs: readonly Added[]): number => median(costs.map((cost) => cost.stored)) / 1e6
  return [
    ...KINDS.flatMap((kind) => {
      const what = `1 % of rows ${kind}, by the server`
      return [
        row(`${what}: wall / pg_basebackup --incremental`, (costs) => medianCost(costs[kind]).wall_s, 1.15),
        row(`${what}: client CPU / pg_basebackup --incremental`, (costs) => medianCost(costs[kind]).cpu_s, null),
        row(`${what}: stored MB / pg_basebackup --incremental`, (costs) => stored(costs[kind]), 1.05),
      ]
    }),
    row('restore of the chain: wall / pg_combinebackup', ({ restore }) => medianCost(restore).wall_s, 1.4),
    row('restore of the chain: CPU / pg_combinebackup', ({ restore }) => medianCost(restore).cpu_s, null),
  ]
}

function configuration(url: string): string {
  return `stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./native-keys.json }
worker: { threads: 2 }
sources:
  clinic: { engine: postgres, url: "${url}", incrementals: auto, schedule: { full: "0 2 * * 0" }, verify: { full: none, incremental: none } }
`
}
