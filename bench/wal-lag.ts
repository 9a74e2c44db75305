import { Client } from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'

const PROBE_EVERY_MS = 20
const LOOK_EVERY_MS = 10
/** Looks at all servers together, so that measuring takes little of the machine: a lag is told this much too long at most, for each server. */
const LOOK_AT_EACH_MS = 5

export interface Measured {
  /** Of this server. */
  readonly streams: number
  /** flush_lsn is what is durable, write_lsn what was received. */
  readonly what: 'flush_lsn' | 'write_lsn'
  /** Servers that are measured at the same time. */
  readonly neighbours?: number
}

/** How long commits stayed without being acknowledged to the server, by slot and all together. Milliseconds. */
export interface Lags {
  readonly all: readonly number[]
  /** Those of them that were not acknowledged ten seconds after the last one: counted with their age then. */
  readonly open: number
}

/**
 * Commits every 20 ms for `ms` (of several servers each in its turn) and asks every 10 ms what each stream has acknowledged, over
 * connections of its own. A commit counts for each stream.
 */
export async function measureLag(url: string, ms: number, { streams, what, neighbours = 1 }: Measured): Promise<Lags> {
  const [writer, reader] = [await connect(url), await connect(url)]
  try {
    const commits: { readonly lsn: bigint; readonly at: number }[] = []
    const next = new Map<number, number>()
    const lags: number[] = []
    const begun = performance.now()
    const look = async (): Promise<void> => {
      const sql = `SELECT pid, ${what} AS lsn FROM pg_stat_replication WHERE state = 'streaming' AND ${what} IS NOT NULL`
      const { rows } = await reader.query<{ pid: number; lsn: string }>(sql)
      const now = performance.now()
      for (const { pid, lsn } of rows) {
        let at = next.get(pid) ?? 0
        for (const stored = lsnOf(lsn); at < commits.length && commits[at]!.lsn <= stored; at++)
          lags.push(now - commits[at]!.at)
        next.set(pid, at)
      }
    }
    const probing = (async () => {
      while (performance.now() - begun < ms) {
        await writer.query('INSERT INTO probe DEFAULT VALUES')
        const at = performance.now()
        const { rows } = await writer.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() AS lsn')
        commits.push({ lsn: lsnOf(rows[0]!.lsn), at })
        await sleep(PROBE_EVERY_MS * neighbours)
      }
    })()
    const pause = Math.max(streams > 1 ? 10 * LOOK_EVERY_MS : LOOK_EVERY_MS, LOOK_AT_EACH_MS * neighbours)
    while (performance.now() - begun < ms) {
      await look()
      await sleep(pause)
    }
    await probing
    const waiting = (): number => commits.length * streams - lags.length
    for (const end = performance.now() + 10_000; waiting() > 0 && performance.now() < end;) {
      await look()
      await sleep(pause)
    }
    const open = Math.max(0, waiting())
    const now = performance.now()
    for (const at of next.values()) for (const commit of commits.slice(at)) lags.push(now - commit.at)
    return { all: lags, open }
  } finally {
    await Promise.all([writer.end(), reader.end()])
  }
}

/** Writes WAL of which half compresses, at about this many bytes a second, until the signal aborts. */
export async function writeWal(url: string, bytesPerSecond: number, signal: AbortSignal): Promise<number> {
  const client = await connect(url)
  const size = 512 << 10
  let written = 0
  try {
    await client.query(`CREATE TEMP TABLE load AS SELECT string_agg(md5(random()::text) || repeat('rest and water; ', 2), '') AS text
      FROM generate_series(1, ${size / 64})`)
    const begun = performance.now()
    while (!signal.aborted) {
      await client.query("SELECT pg_logical_emit_message(false, 'bench', text) FROM load")
      written += size
      const ahead = (1000 * written) / bytesPerSecond - (performance.now() - begun)
      if (ahead > 0) await sleep(ahead)
    }
    return (1000 * written) / (performance.now() - begun)
  } finally {
    await client.end()
  }
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  await client.query('SET synchronous_commit = local')
  return client
}

function lsnOf(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`)
}
