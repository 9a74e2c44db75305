import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startArchiving } from './archiving-server.ts'
import { measureDetached, type DetachedCost } from './detached.ts'
import { measure, median } from './measure.ts'
import { refusalOf } from './pgbackrest.ts'
import { pgbackrestIn } from './pgbackrest-place.ts'
import { fillCluster } from './postgres-data.ts'
import type { Row } from './report.ts'
import { program, type Workplace } from './workplace.ts'

const ASYNC = ['archive-async=y', 'archive-get-queue-max=128MiB']
/** Segments that are handed over one by one, each when the one before is done. */
const SINGLE = 12

/** As PostgreSQL's archiver does it: each file that is ready, in order, is done when the command ends with 0. */
const PUSH = `set -e; cd "$1"; shift
for ready in pg_wal/archive_status/*.ready; do
  name=\${ready##*/}; name=\${name%.ready}
  "$@" "pg_wal/$name"; mv "$ready" "\${ready%.ready}.done"
done`
/** The same while no other file is ready. */
const PUSH_SINGLE = `set -e; cd "$1"; names=$2; shift 2
for name in $names; do
  : > "pg_wal/archive_status/$name.ready"
  "$@" "pg_wal/$name"; mv "pg_wal/archive_status/$name.ready" "pg_wal/archive_status/$name.done"
done`
/** As a recovery does it. */
const GET = `set -e; cd "$1"; names=$2; shift 2
for name in $names; do "$@" "$name" pg_wal/RECOVERYXLOG; mv pg_wal/RECOVERYXLOG got; done`

interface Words {
  readonly push: readonly string[]
  readonly get: readonly string[]
}

/** One program over the segments that a server left ready. */
class Side {
  readonly push: DetachedCost[] = []
  readonly single: DetachedCost[] = []
  readonly get: DetachedCost[] = []
  readonly #dataDir: string
  readonly #names: readonly string[]
  readonly #words: Words
  readonly #clear: () => void

  constructor(dataDir: string, names: readonly string[], words: Words, clear: () => void) {
    this.#dataDir = dataDir
    this.#names = names
    this.#words = words
    this.#clear = clear
  }

  async round(): Promise<void> {
    this.#clear()
    this.#ready(this.#names)
    this.push.push(await this.#run(PUSH, ...this.#words.push))
    this.get.push(await this.#run(GET, this.#names.join(' '), ...this.#words.get))
    const got = readFileSync(join(this.#dataDir, 'got'))
    if (!got.equals(readFileSync(join(this.#dataDir, 'pg_wal', this.#names.at(-1)!)))) throw new Error('other bytes')
    this.#clear()
    this.#ready([])
    this.single.push(await this.#run(PUSH_SINGLE, this.#names.slice(0, SINGLE).join(' '), ...this.#words.push))
  }

  #run(script: string, ...words: readonly string[]): Promise<DetachedCost> {
    return measureDetached(['sh', '-c', script, 'sh', this.#dataDir, ...words], { cwd: this.#dataDir })
  }

  #ready(names: readonly string[]): void {
    const folder = join(this.#dataDir, 'pg_wal/archive_status')
    for (const name of readdirSync(folder)) rmSync(join(folder, name))
    for (const name of names) writeFileSync(join(folder, `${name}.ready`), '', { mode: 0o666 })
  }
}

/** `wal push` and `wal get` beside archive-push and archive-get of pgBackRest, asynchronous, over the same segments. */
export async function benchArchive(
  place: Workplace,
  options: { scale: number; rounds: number; say: (line: string) => void },
): Promise<Row[]> {
  // The server's folder, and the sockets of helpers.
  process.env['TMPDIR'] = place.folder
  const settings = { archive_command: 'false', max_wal_size: '8GB' }
  await using archiving = await startArchiving(place, settings)
  const { server, cluster } = archiving
  options.say('filling pg_wal …')
  await fillCluster(server, options.scale)
  await server.query('SELECT pg_switch_wal()')
  const pgbackrest = program('pgbackrest')
  const rest = pgbackrest === null ? null : pgbackrestIn(pgbackrest, place, cluster, ASYNC)
  let refusal = rest === null ? 'pgbackrest is not installed here' : null
  if (rest !== null) await measure(rest.run('stanza-create')).catch((error: unknown) => (refusal = refusalOf(error)))
  const names = readdirSync(join(cluster.dataDir, 'pg_wal/archive_status'))
    .flatMap((name) => /^([0-9A-F]{24})\.ready$/.exec(name)?.[1] ?? [])
    .toSorted()
  await server.stop()
  options.say(`${names.length} segments of 16 MiB`)
  place.write('salvor.yaml', configuration(server.url))
  await measure(place.salvor('keys', 'create', '--out', 'wal-keys.json', '--recovery', 'wal-recovery.pem'))
  const salvor = (verb: string): string[] => [
    place.salvor().command,
    '--config',
    place.path('salvor.yaml'),
    'wal',
    verb,
  ]
  const own = new Side(cluster.dataDir, names, { push: salvor('push'), get: salvor('get') }, () => {
    place.fresh('backups')
    rmSync(place.path('salvor-data'), { recursive: true, force: true })
  })
  const words = { push: rest?.words('archive-push') ?? [], get: rest?.words('archive-get') ?? [] }
  const peer = new Side(cluster.dataDir, names, words, () => rest?.clearArchive())
  for (let round = 0; round < options.rounds; round += 1) {
    options.say(`WAL round ${round + 1} of ${options.rounds}`)
    await own.round()
    if (refusal === null) await peer.round().catch((error: unknown) => (refusal = refusalOf(error)))
  }
  return rowsOf(own, refusal === null ? peer : null, names.length, refusal ?? '')
}

function rowsOf(own: Side, peer: Side | null, count: number, missing: string): Row[] {
  const row = (what: string, kind: 'push' | 'single' | 'get', of: keyof DetachedCost, goal: number | null): Row => {
    const each = (side: Side): number =>
      (1000 * median(side[kind].map((cost) => cost[of]))) / (kind === 'single' ? SINGLE : count)
    return {
      what: `WAL ${what}, ms a segment / pgBackRest async`,
      salvor: each(own),
      peer: peer && each(peer),
      goal,
      missing,
    }
  }
  return [
    row(`wal push of ${count} in a row: wall`, 'push', 'wall_s', 1),
    row('the same: CPU', 'push', 'cpu_s', null),
    row('wal push of one at a time: wall', 'single', 'wall_s', null),
    row('the same: CPU', 'single', 'cpu_s', null),
    row(`wal get of ${count} in a row: wall`, 'get', 'wall_s', 0.7),
    row('the same: CPU', 'get', 'cpu_s', null),
  ]
}

function configuration(url: string): string {
  return `stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./wal-keys.json }
sources:
  clinic: { engine: postgres, url: "${url}", schedule: { full: "0 2 * * 0" } }
`
}
