import { Client } from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'

/** What stays true whatever the writer does, and whenever a copy is taken. Each gives one row whose only column is true. */
export const CLINIC_PG_CHECKS = [
  'SELECT count(*) > 0 FROM patients',
  'SELECT sum(balance) = 1000000 FROM ledger',
  'SELECT coalesce(max(id), 0) = count(*) FROM visits',
] as const

export interface ClinicState {
  readonly patients: number
  readonly ledger: number
  readonly visits: number
  readonly lastVisit: number
  /** sum(ledger) is the constant and max(id) = count(*) in visits. */
  readonly consistent: boolean
}

/** A clinic with `rows` made-up patients (about 130 bytes each), a ledger whose sum never changes, and visits numbered without a gap. */
export async function createClinicPg(url: string, options: { readonly rows: number }): Promise<void> {
  await using link = await connect(url)
  await link.client.query(`
    CREATE TABLE patients (id int PRIMARY KEY, name text NOT NULL, born date NOT NULL, note text NOT NULL);
    CREATE TABLE ledger (account int PRIMARY KEY, balance bigint NOT NULL);
    CREATE TABLE visits (id bigint PRIMARY KEY, patient int NOT NULL, at timestamptz NOT NULL DEFAULT now(), note text NOT NULL);
    INSERT INTO ledger SELECT account, 10000 FROM generate_series(1, 100) AS account`)
  await link.client.query(
    `INSERT INTO patients
     SELECT id, 'Patient ' || id, date '1930-01-01' + id % 30000, md5(id::text) || md5((id * 7)::text)
     FROM generate_series(1, $1::int) AS id`,
    [options.rows],
  )
}

export async function clinicState(url: string): Promise<ClinicState> {
  await using link = await connect(url)
  const { rows } = await link.client.query<Record<string, string>>(`
    SELECT (SELECT count(*) FROM patients) AS patients, (SELECT sum(balance) FROM ledger) AS ledger,
           (SELECT count(*) FROM visits) AS visits, (SELECT coalesce(max(id), 0) FROM visits) AS last_visit`)
  const row = rows[0]!
  const [ledger, visits, lastVisit] = [Number(row['ledger']), Number(row['visits']), Number(row['last_visit'])]
  return {
    patients: Number(row['patients']),
    ledger,
    visits,
    lastVisit,
    consistent: ledger === 1_000_000 && visits === lastVisit,
  }
}

/** Over every row of patients, and of visits up to one: equal for a source and a copy that holds the same rows. */
export async function clinicRows(url: string, upToVisit: number): Promise<{ patients: string; visits: string }> {
  await using link = await connect(url)
  const { rows } = await link.client.query<{ patients: string; visits: string }>(
    `SELECT (SELECT md5(string_agg(md5(p::text), '' ORDER BY id)) FROM patients AS p) AS patients,
            (SELECT coalesce(md5(string_agg(md5(v::text), '' ORDER BY id)), '') FROM visits AS v WHERE id <= $1) AS visits`,
    [upToVisit],
  )
  return rows[0]!
}

export interface PgWriter extends AsyncDisposable {
  /** Transactions that the server acknowledged. */
  readonly acknowledged: number
  /** Id of the newest acknowledged visit. */
  readonly lastVisit: number
  /** Connections that broke; the writer connects again until it is stopped. */
  readonly interruptions: number
  stop(): Promise<{ readonly acknowledged: number; readonly lastVisit: number }>
}

const TRANSACTION = `
  WITH moved AS (
    UPDATE ledger SET balance = balance + CASE account WHEN $1::int THEN -$3::bigint ELSE $3::bigint END
    WHERE account IN ($1::int, $2::int))
  INSERT INTO visits (id, patient, note)
  SELECT coalesce(max(id), 0) + 1, $1::int, repeat(md5(random()::text), 4) FROM visits RETURNING id`

/** Commits about `tps` transactions a second until stopped. One writer for a database: visits are numbered by it. */
export function startPgWriter(url: string, options: { readonly tps: number }): PgWriter {
  const state = { acknowledged: 0, lastVisit: 0, interruptions: 0, stopped: false }
  const done = write(url, options.tps, state)
  const stop = async () => {
    state.stopped = true
    await done
    return { acknowledged: state.acknowledged, lastVisit: state.lastVisit }
  }
  return {
    get acknowledged() {
      return state.acknowledged
    },
    get lastVisit() {
      return state.lastVisit
    },
    get interruptions() {
      return state.interruptions
    },
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  }
}

interface WriterState {
  acknowledged: number
  lastVisit: number
  interruptions: number
  stopped: boolean
}

async function write(url: string, tps: number, state: WriterState): Promise<void> {
  while (!state.stopped) {
    try {
      await using link = await connect(url)
      await writeOn(link.client, tps, state)
    } catch {
      state.interruptions++
      await sleep(50)
    }
  }
}

async function writeOn(client: Client, tps: number, state: WriterState): Promise<void> {
  const began = performance.now()
  for (let sent = 1; !state.stopped; sent++) {
    const from = 1 + (state.acknowledged % 100)
    const to = 1 + ((state.acknowledged * 7 + 13) % 100)
    const { rows } = await client.query<{ id: string }>({
      name: 'visit',
      text: TRANSACTION,
      values: [from, to === from ? (to % 100) + 1 : to, sent % 50],
    })
    state.acknowledged++
    state.lastVisit = Number(rows[0]!.id)
    const ahead = (sent * 1000) / tps - (performance.now() - began)
    if (ahead > 1) await sleep(ahead)
  }
}

async function connect(url: string): Promise<{ readonly client: Client } & AsyncDisposable> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => undefined)
  await client.connect()
  return { client, [Symbol.asyncDispose]: () => client.end().catch(() => undefined) }
}
