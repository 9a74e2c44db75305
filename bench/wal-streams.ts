import { setTimeout as sleep } from 'node:timers/promises'
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

/** Many sources streamed by one worker, each through a slot of its own, while some of them are backed up, all at once. */
export async function benchStreams(
  place: Workplace,
  options: { streams: number; backups: number; servers: number; seconds: number; say: (line: string) => void },
): Promise<Row[]> {
  process.env['TMPDIR'] = place.folder
  await using all = new AsyncDisposableStack()
  const room = String(Math.ceil(options.streams / options.servers) + options.backups * 3 + 10)
  const settings = {
    max_slot_wal_keep_size: '4GB',
    max_wal_senders: room,
    max_replication_slots: room,
    max_connections: room,
  }
  const servers: RealPostgres[] = []
  for (let n = 0; n < options.servers; n++) servers.push(all.use(await startPostgres({ major: 17, settings })))
  for (const server of servers) await server.query('CREATE TABLE probe (at timestamptz DEFAULT now())')
  const names = Array.from({ length: options.streams }, (_, n) => `clinic${n}`)
  const urls = names.map((_, n) => servers[n % servers.length]!.url)
  place.write('salvor.yaml', configuration(names.map((name, n) => [name, urls[n]!] as const)))
  await measure(place.salvor('keys', 'create', '--out', 'many-keys.json', '--recovery', 'many-recovery.pem'))
  await using worker = startWorker(place)
  for (const [n, server] of servers.entries())
    await untilStreaming(server, urls.filter((url) => url === servers[n]!.url).length)
  options.say(`${options.streams} streams of ${options.servers} servers`)
  const stop = new AbortController()
  const writing = servers.map((server) => writeWal(server.url, RATE, stop.signal))
  await sleep(3_000)
  const before = worker.cpu()
  const begun = performance.now()
  const backups = names
    .slice(0, options.backups)
    .map(async (name) => (await measure(place.salvor('backup', name, '--json'))).wall_s)
  const lags = await Promise.all(
    servers.map((server) =>
      measureLag(server.url, 1000 * options.seconds, urls.filter((url) => url === server.url).length, 'flush_lsn'),
    ),
  )
  const cpu = (worker.cpu() - before) / ((performance.now() - begun) / 1000)
  const walls = await Promise.all(backups)
  stop.abort()
  await Promise.all(writing)
  const each = lags.flatMap((lag) => lag.all)
  const open = lags.reduce((sum, lag) => sum + lag.open, 0)
  options.say(
    `${each.length} lags, ${open} open; p50 ${quantile(each, 0.5).toFixed(0)} ms, longest ${each.reduce((a, b) => Math.max(a, b), 0).toFixed(0)} ms; the worker took ${(100 * cpu).toFixed(0)} % of a core; ${options.backups} backups at once took ${Math.max(...walls).toFixed(1)} s`,
  )
  const what = `${options.streams} streams and ${options.backups} backups at once: commit to durable in the store`
  return [
    { what: `${what}, p50 ms / ${GOAL_MS}`, salvor: quantile(each, 0.5), peer: GOAL_MS, goal: null, missing: '' },
    { what: `${what}, p99 ms / ${GOAL_MS}`, salvor: quantile(each, 0.99), peer: GOAL_MS, goal: 1, missing: '' },
  ]
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
