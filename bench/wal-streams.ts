import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { startPostgres, type RealPostgres } from '@salvor/testkit/real/postgres'
import { measure } from './measure.ts'
import type { Row } from './report.ts'
import { measureLag, writeWal } from './wal-lag.ts'
import { untilStreaming } from './wal-latency.ts'
import { quantile, startWorker, type Worker } from './worker.ts'
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
  place.write('salvor.yaml', configuration(names.map((name, n) => [name, urls[n]!] as const)))
  await measure(place.salvor('keys', 'create', '--out', 'many-keys.json', '--recovery', 'many-recovery.pem'))
  await using worker = startWorker(place)
  for (const [n, server] of servers.entries())
    await untilStreaming(server, urls.filter((url) => url === servers[n]!.url).length)
  options.say(`${options.streams} streams of ${options.servers} servers; their first backups …`)
  await untilBackedUp(place, options.streams, worker)
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
      measureLag(server.url, 1000 * options.seconds, {
        streams: urls.filter((url) => url === server.url).length,
        what: 'flush_lsn',
        neighbours: options.servers,
      }),
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

/** A worker takes a full of each source that has none. */
async function untilBackedUp(place: Workplace, count: number, worker: Worker): Promise<void> {
  const { command, args, cwd } = place.salvor('list', '--json', '--limit', String(10 * count))
  for (const end = performance.now() + 1_800_000; performance.now() < end; await sleep(5_000)) {
    // Throws where it has ended.
    worker.cpu()
    const { stdout } = await promisify(execFile)(command, [...args], { cwd, maxBuffer: 64 << 20 })
    const { backups } = JSON.parse(stdout) as { readonly backups: readonly { readonly source: string }[] }
    if (new Set(backups.map(({ source }) => source)).size >= count) return
  }
  throw new Error('not every source was backed up')
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
