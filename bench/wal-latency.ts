import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPostgres } from '@salvor/testkit/real/postgres'
import { measure } from './measure.ts'
import type { Row } from './report.ts'
import { measureLag, writeWal } from './wal-lag.ts'
import { quantile, startWorker } from './worker.ts'
import type { Workplace } from './workplace.ts'

const MODES = [
  { name: 'in the store', wal: 'synchronous: true', goal: 1 },
  { name: 'on the spool volume', wal: 'synchronous: true, acknowledge: spool', goal: 1 },
  { name: 'in the store, not synchronous', wal: '', goal: null },
] as const
const GOAL_MS = 500

/** From a commit until the worker has acknowledged it, while `rate` bytes of WAL a second are written. */
export async function benchLatency(
  place: Workplace,
  options: { seconds: number; rate: number; say: (line: string) => void },
): Promise<Row[]> {
  process.env['TMPDIR'] = place.folder
  const rows: Row[] = []
  for (const mode of MODES) {
    const settings = { max_slot_wal_keep_size: '8GB', max_wal_size: '4GB' }
    await using server = await startPostgres({ major: 17, settings })
    await server.query('CREATE TABLE probe (at timestamptz DEFAULT now())')
    for (const name of ['backups', 'salvor-data']) rmSync(place.path(name), { recursive: true, force: true })
    place.write('salvor.yaml', configuration(server.url, mode.wal))
    rmSync(place.path('lag-keys.json'), { force: true })
    await measure(place.salvor('keys', 'create', '--out', 'lag-keys.json', '--recovery', `recovery-${rows.length}.pem`))
    await using worker = startWorker(place)
    await untilStreaming(server, 1)
    const stop = new AbortController()
    const writing = writeWal(server.url, options.rate, stop.signal)
    await sleep(2_000)
    const before = worker.cpu()
    const { all, open } = await measureLag(server.url, 1000 * options.seconds, { streams: 1, what: 'flush_lsn' })
    const cpu = worker.cpu() - before
    stop.abort()
    const rate = (await writing) / 1e6
    options.say(
      `${mode.name}: ${rate.toFixed(0)} MB/s of WAL, ${all.length} commits (${open} not acknowledged in the end), p50 ${quantile(all, 0.5).toFixed(0)} ms, p99 ${quantile(all, 0.99).toFixed(0)} ms, longest ${Math.max(...all).toFixed(0)} ms, ${((100 * cpu) / options.seconds).toFixed(0)} % of a core`,
    )
    const what = `WAL at ${rate.toFixed(0)} MB/s, commit to durable ${mode.name}`
    rows.push(
      { what: `${what}: p50 ms / ${GOAL_MS}`, salvor: quantile(all, 0.5), peer: GOAL_MS, goal: null, missing: '' },
      {
        what: `${what}: p99 ms / ${GOAL_MS}`,
        salvor: quantile(all, 0.99),
        peer: GOAL_MS,
        goal: mode.goal,
        missing: '',
      },
    )
  }
  return rows
}

/** So many streams have begun. */
export async function untilStreaming(
  server: { query(sql: string): Promise<Record<string, unknown>[]> },
  count: number,
): Promise<void> {
  const sql = `SELECT count(*)::int AS n FROM pg_replication_slots JOIN pg_stat_replication ON active_pid = pid
    WHERE state = 'streaming' AND slot_name LIKE 'salvor%' AND NOT temporary`
  for (const end = performance.now() + 120_000; performance.now() < end; await sleep(200)) {
    const [row] = (await server.query(sql)) as { n: number }[]
    if ((row?.n ?? 0) >= count) return
  }
  throw new Error('the streams did not begin')
}

function configuration(url: string, wal: string): string {
  return `stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./lag-keys.json }
sources:
  clinic: { engine: postgres, url: "${url}", schedule: { wal: stream }, wal: { ${wal} } }
`
}
