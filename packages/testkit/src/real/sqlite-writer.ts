import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, openSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'

/** What the ledger of every clinic adds up to at every committed instant. */
export const LEDGER_TOTAL = 1_000_000

const SCHEMA = `
  CREATE TABLE patients (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born TEXT NOT NULL, address TEXT, notes TEXT, seen INTEGER NOT NULL DEFAULT 0);
  CREATE TABLE visits (id INTEGER PRIMARY KEY, patient_id INTEGER NOT NULL REFERENCES patients(id), at TEXT NOT NULL, reason TEXT NOT NULL, findings TEXT);
  CREATE INDEX visits_of_patient ON visits (patient_id, at);
  CREATE TABLE ledger (id INTEGER PRIMARY KEY, account INTEGER NOT NULL, amount INTEGER NOT NULL);
  CREATE TABLE images (id INTEGER PRIMARY KEY, patient_id INTEGER NOT NULL REFERENCES patients(id), kind TEXT NOT NULL, pixels BLOB NOT NULL);
  CREATE INDEX images_of_patient ON images (patient_id);
`
const NAMES = ['Amara', 'Bo', 'Carmen', 'Dilip', 'Eira', 'Farid', 'Grete', 'Hana', 'Ivo', 'Jun', 'Kofi', 'Lena']
const REASONS = ['check-up', 'vaccination', 'follow-up', 'blood test', 'x-ray', 'cough', 'back pain', 'referral']
const FINDINGS =
  'no abnormal findings; blood pressure and pulse within the expected range; advised to return if symptoms persist. '
const VISITS = 5
const IMAGE_OF_EVERY = 10
const IMAGE_BYTES = 14_000

export interface ClinicOptions {
  /** Patients; 1,000 make about 4.4 MB, of which 31 % do not compress. */
  readonly rows: number
  readonly journal?: 'wal' | 'delete' | 'truncate' | 'persist'
  readonly page_size?: number
  readonly auto_vacuum?: 'none' | 'full' | 'incremental'
}

/** A new clinic's database: patients, their visits, images that do not compress, and a ledger with a known sum. */
export function createClinic(path: string, options: ClinicOptions): void {
  if (existsSync(path)) throw new Error(`${path} exists`)
  const database = new Database(path)
  try {
    database.pragma(`page_size = ${options.page_size ?? 4096}`)
    database.pragma(`auto_vacuum = ${options.auto_vacuum ?? 'none'}`)
    database.pragma(`journal_mode = ${options.journal ?? 'wal'}`)
    database.pragma('synchronous = OFF')
    database.exec(SCHEMA)
    database.prepare('INSERT INTO ledger (account, amount) VALUES (1, ?)').run(LEDGER_TOTAL)
    fill(database, options.rows)
  } finally {
    database.close()
  }
}

function fill(database: Database.Database, rows: number): void {
  const patient = database.prepare('INSERT INTO patients (name, born, address, notes) VALUES (?, ?, ?, ?)')
  const visit = database.prepare('INSERT INTO visits (patient_id, at, reason, findings) VALUES (?, ?, ?, ?)')
  const image = database.prepare('INSERT INTO images (patient_id, kind, pixels) VALUES (?, ?, ?)')
  const some = database.transaction((first: number, last: number) => {
    for (let id = first; id <= last; id += 1) {
      const name = `${NAMES[id % NAMES.length]} ${NAMES[(id * 7) % NAMES.length]}son ${id}`
      patient.run(
        name,
        `19${String(id % 100).padStart(2, '0')}-0${(id % 9) + 1}-1${id % 9}`,
        `${id} Harbour Road`,
        FINDINGS,
      )
      for (let n = 1; n <= VISITS; n += 1) {
        const at = `20${String(10 + (id % 15)).padStart(2, '0')}-0${(n % 9) + 1}-1${id % 9}T09:${String(id % 60).padStart(2, '0')}:00Z`
        visit.run(id, at, REASONS[(id + n) % REASONS.length], `${id}/${n}: ${FINDINGS.repeat(4)}`)
      }
      if (id % IMAGE_OF_EVERY === 0) image.run(id, 'x-ray', randomBytes(IMAGE_BYTES))
    }
  })
  for (let first = 1; first <= rows; first += 1_000) some(first, Math.min(rows, first + 999))
}

/** Throws unless the database is intact and holds one committed state of the writer. Never for a file that is in use by this process. */
export function assertInvariant(path: string): { readonly transactions: number } {
  const database = new Database(path, { readonly: true, fileMustExist: true })
  try {
    const integrity = database.pragma('integrity_check') as { integrity_check: string }[]
    if (integrity[0]?.integrity_check !== 'ok')
      throw new Error(`integrity_check of ${path}: ${integrity.length} problems`)
    const dangling = database.pragma('foreign_key_check') as unknown[]
    if (dangling.length > 0) throw new Error(`${path}: ${dangling.length} rows point to nothing`)
    const state = database
      .prepare<[], Record<'total' | 'highest' | 'entries' | 'visited' | 'seen', number>>(
        `SELECT sum(amount) AS total, max(id) AS highest, count(*) AS entries,
                (SELECT count(*) FROM visits WHERE reason = 'writer') AS visited, (SELECT sum(seen) FROM patients) AS seen
         FROM ledger`,
      )
      .get()
    const transactions = state?.visited ?? -1
    const whole =
      state?.total === LEDGER_TOTAL &&
      state.highest === state.entries &&
      state.entries === 1 + 2 * transactions &&
      (state.seen ?? 0) === transactions
    if (!whole) throw new Error(`${path} holds no committed state: ${JSON.stringify(state)}`)
    return { transactions }
  } finally {
    database.close()
  }
}

export interface WriterStats {
  readonly committed: number
  /** Transactions that failed, with the last reason. */
  readonly errors: number
  readonly last_error: string | null
  /** Time of one transaction as the application sees it. */
  readonly p50_ms: number
  readonly p99_ms: number
  readonly max_ms: number
}

export interface Writer extends AsyncDisposable {
  readonly pid: number
  stats(): Promise<WriterStats>
  /** Ends it in an orderly way and gives what it did in all. */
  stop(): Promise<WriterStats>
  /** As a crash would: its log or journal stays behind. */
  kill(): Promise<void>
}

export interface WriterOptions {
  readonly tps: number
  readonly busy_timeout_ms?: number
  /** A file that gets a line for each transaction: its number, and microseconds of the wall clock before BEGIN and after COMMIT. */
  readonly times?: string
}

/** Another process that commits `tps` transactions of 5 statements a second; starts to write before it returns. */
export async function startWriter(path: string, options: WriterOptions): Promise<Writer> {
  const child = fork(fileURLToPath(import.meta.url), [WRITER_FLAG, path, JSON.stringify(options)], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
  })
  const answer = <T>(): Promise<T> =>
    new Promise((resolve, reject) => {
      const ended = (code: number | null, signal: NodeJS.Signals | null): void =>
        reject(new Error(`the writer ended: ${signal ?? code}`))
      child.once('exit', ended)
      child.once('message', (message) => {
        child.off('exit', ended)
        resolve(message as T)
      })
    })
  await answer()
  const ask = (what: 'stats' | 'stop'): Promise<WriterStats> => {
    const reply = answer<WriterStats>()
    child.send(what)
    return reply
  }
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  return {
    pid: child.pid ?? -1,
    stats: () => ask('stats'),
    async stop() {
      const stats = await ask('stop')
      await exited
      return stats
    },
    kill,
    [Symbol.asyncDispose]: kill,
  }
}

const micros = (): number => Math.round((performance.timeOrigin + performance.now()) * 1000)

const WRITER_FLAG = '--clinic-writer'

function runWriter(path: string, options: WriterOptions): void {
  const database = new Database(path, { fileMustExist: true, timeout: options.busy_timeout_ms ?? 5_000 })
  database.pragma('synchronous = NORMAL')
  database.pragma('foreign_keys = ON')
  const commit = prepareVisit(database)
  const log = options.times === undefined ? null : openSync(options.times, 'a')
  const times: number[] = []
  let errors = 0
  let lastError: string | null = null
  let committed = 0
  const begun = performance.now()
  const work = setInterval(() => {
    const due = Math.floor(((performance.now() - begun) / 1000) * options.tps)
    // What could not be done in time is done later, but never so much at once that questions go unanswered.
    for (let burst = 0; committed + errors < due && burst < 200; burst += 1) {
      const start = performance.now()
      try {
        const before = micros()
        commit(committed)
        committed += 1
        if (log !== null) writeSync(log, `${committed} ${before} ${micros()}\n`)
      } catch (error) {
        errors += 1
        lastError = error instanceof Error ? error.message : 'unknown'
      }
      times.push(performance.now() - start)
    }
  }, 2)
  const stats = (): WriterStats => {
    const sorted = times.toSorted((a, b) => a - b)
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    return { committed, errors, last_error: lastError, p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1) }
  }
  process.on('disconnect', () => process.exit(0))
  process.on('message', (what) => {
    if (what === 'stats') process.send?.(stats())
    if (what !== 'stop') return
    clearInterval(work)
    database.close()
    process.send?.(stats(), () => process.exit(0))
  })
  process.send?.('writing')
}

/** One visit: two entries that cancel out, a row more, a row changed, an image replaced. */
function prepareVisit(database: Database.Database): (n: number) => void {
  const patients = Number(database.prepare('SELECT max(id) FROM patients').pluck().get())
  const entry = database.prepare('INSERT INTO ledger (account, amount) VALUES (?, ?)')
  const visit = database.prepare(`INSERT INTO visits (patient_id, at, reason, findings) VALUES (?, ?, 'writer', ?)`)
  const seen = database.prepare('UPDATE patients SET seen = seen + 1 WHERE id = ?')
  const image = database.prepare('UPDATE images SET kind = ? WHERE patient_id = ?')
  const transaction = database.transaction((n: number) => {
    const patient = 1 + ((n * 7919) % patients)
    const amount = 1 + (n % 97)
    entry.run(patient, -amount)
    visit.run(patient, '2026-01-01T09:00:00Z', `${n}: ${FINDINGS}`)
    seen.run(patient)
    image.run(n % 2 === 0 ? 'x-ray' : 'scan', patient)
    entry.run(patient + 1, amount)
  })
  return (n) => {
    transaction.immediate(n)
  }
}

if (process.argv[2] === WRITER_FLAG && process.argv[3] && process.argv[4]) {
  runWriter(process.argv[3], JSON.parse(process.argv[4]) as WriterOptions)
}
