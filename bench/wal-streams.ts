import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { measure } from './measure.ts'
import type { Row } from './report.ts'
import { measureLag, writeWal } from './wal-lag.ts'
import { untilStreaming } from './wal-latency.ts'
import { quantile, startWorker } from './worker.ts'
import type { Workplace } from './workplace.ts'

const GOAL_MS = 5_000
/** Of each stream, since each has the whole WAL of its server. */
const RATE = 20_000

/** Many sources streamed by one worker, each through a slot of its own, while it takes first backups of all of them. */
export async function benchStreams(
  place: Workplace,
  options: { streams: number; servers: number; seconds: number; say: (line: string) => void },
): Promise<Row[]> {
  process.env['TMPDIR'] = place.folder
  await using all = new AsyncDisposableStack()
  const each = Math.ceil(options.streams / options.servers)
  const room = String(each * 4 + 10)
  const settings = {
    max_slot_wal_keep_size: '4GB',
    min_wal_size: '32MB',
    max_wal_senders: room,
    max_replication_slots: room,
    max_connections: room,
  }
  const servers: RealPostgres[] = []
  options.say(`${options.servers} servers …`)
  for (let n = 0; n < options.servers; n++) servers.push(all.use(await startPostgres({ major: 17, settings })))
  for (const server of servers) await server.query('CREATE TABLE probe (at timestamptz DEFAULT now())')
  const names = Array.from({ length: options.streams }, (_, n) => `clinic${n}`)
  const urls = names.map((_, n) => servers[n % servers.length]!.url)
  const streamsOf = (url: string): number => urls.filter((one) => one === url).length
  place.write('salvor.yaml', configuration(names.map((name, n) => [name, urls[n]!] as const)))
  await measure(place.salvor('keys', 'create', '--out', 'many-keys.json', '--recovery', 'many-recovery.pem'))
  await using worker = startWorker(place)
  for (const server of servers) await untilStreaming(server, streamsOf(server.url))
  const earlier = await backedUp(place, options.streams)
  options.say(`${options.streams} streams of ${options.servers} servers, ${earlier} sources backed up by then`)
  const stop = new AbortController()
  const writing = servers.map((server) => writeWal(server.url, RATE, stop.signal))
  await sleep(3_000)
  const [before, begun] = [worker.cpu(), performance.now()]
  const lags = await Promise.all(
    servers.map(({ url }) =>
      measureLag(url, 1000 * options.seconds, {
        streams: streamsOf(url),
        what: 'flush_lsn',
        neighbours: options.servers,
      }),
    ),
  )
  const cpu = (worker.cpu() - before) / ((performance.now() - begun) / 1000)
  const backups = (await backedUp(place, options.streams)) - earlier
  stop.abort()
  await Promise.all(writing)
  const lag = lags.flatMap((one) => one.all)
  const open = lags.reduce((sum, one) => sum + one.open, 0)
  options.say(
    `${lag.length} lags, ${open} open; p50 ${quantile(lag, 0.5).toFixed(0)} ms, longest ${lag.reduce((a, b) => Math.max(a, b), 0).toFixed(0)} ms; the worker took ${(100 * cpu).toFixed(0)} % of a core and ${worker.pss().toFixed(0)} MB Pss; ${backups} backups meanwhile`,
  )
  const what = `${options.streams} streams while ${backups} sources are backed up: commit to durable in the store`
  return [
    { what: `${what}, p50 ms / ${GOAL_MS}`, salvor: quantile(lag, 0.5), peer: GOAL_MS, goal: null, missing: '' },
    { what: `${what}, p99 ms / ${GOAL_MS}`, salvor: quantile(lag, 0.99), peer: GOAL_MS, goal: 1, missing: '' },
  ]
}

/** How many of the sources have a backup. */
async function backedUp(place: Workplace, count: number): Promise<number> {
  const { command, args, cwd } = place.salvor('list', '--json', '--limit', String(10 * count))
  const { stdout } = await promisify(execFile)(command, [...args], { cwd, maxBuffer: 64 << 20 })
  const { backups } = JSON.parse(stdout) as { readonly backups: readonly { readonly source: string }[] }
  return new Set(backups.map(({ source }) => source)).size
}

function configuration(sources: readonly (readonly [name: string, url: string])[]): string {
  const lines = sources.map(
    ([name, url]) => `  ${name}: { engine: postgres, url: "${url}", schedule: { wal: stream } }`,
  )
  return `stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./many-keys.json }
sources:
${lines.join('\n')}
`
}
