// npm start: the whole product on real databases, shown step by step. On a terminal it stays up until Ctrl-C; elsewhere it
// ends with 0, or with 1 where any step failed.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { systemIds } from '@salvor/runtime/clock'
import { holderAlive } from '@salvor/runtime/holder'
import { clinicState, createClinicPg, CLINIC_PG_CHECKS, startPgWriter } from '@salvor/testkit/real/postgres-load'
import { assertInvariant, createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { compareRows } from './compare.ts'
import { configuration } from './configuration.ts'
import { salvor, startService } from './salvor-process.ts'
import { startServers } from './servers.ts'
import { Story } from './story.ts'
import { Screen } from './screen.ts'

const SERVICES = ['scheduler', 'backup-worker', 'verifier', 'replicator', 'notifier']
const SOURCES = ['desk', 'clinic']
const PATIENTS = { sqlite: 8000, postgres: 30_000 }
/** From the reload to the tick: time for the scheduler to read the file. A busy machine gets more with each try. */
const DUE_IN_MS = 4000
/** A tick that did not come by then was over before the scheduler knew of it. */
const LATE_MS = 10_000
/** A machine that is twice as slow as ours still gets there. */
const GIVE_UP_MS = 150_000

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => (stop.signal.aborted ? process.exit(130) : stop.abort()))
}
const screen = new Screen(SOURCES)
process.umask(0o077)
const folder = mkdtempSync(join(tmpdir(), 'salvor-demo-'))
let verdict = 1
try {
  verdict = await demo()
} catch (error) {
  screen.line(stop.signal.aborted ? 'interrupted' : `✗ ${error instanceof Error ? error.message : String(error)}`)
  if (stop.signal.aborted) verdict = 130
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}
process.exitCode = verdict

async function demo(): Promise<number> {
  const began = performance.now()
  await using stack = new AsyncDisposableStack()
  screen.title('Real servers on this machine')
  const servers = await startServers(stack, (line) => screen.line(line))
  const sqlitePath = join(folder, 'desk.db')
  createClinic(sqlitePath, { rows: PATIENTS.sqlite })
  await createClinicPg(servers.postgres.url, { rows: PATIENTS.postgres })
  const visits = (await clinicState(servers.postgres.url)).visits
  const sqlite = stack.use(await startWriter(sqlitePath, { tps: 100 }))
  const postgres = stack.use(startPgWriter(servers.postgres.url, { tps: 100 }))
  screen.line(`desk    SQLite, ${PATIENTS.sqlite} patients, a writer commits 100 transactions a second`)
  screen.line(
    `clinic  PostgreSQL ${servers.postgres.version}, ${PATIENTS.postgres} patients, 100 transactions a second`,
  )

  const clinics = {
    dueAt: null,
    sqlitePath,
    sqliteChecks: [`SELECT count(*) = ${PATIENTS.sqlite} FROM patients`, 'SELECT sum(amount) = 1000000 FROM ledger'],
    postgresChecks: [
      `SELECT count(*) = ${PATIENTS.postgres} FROM patients`,
      `SELECT count(*) >= ${visits} FROM visits`,
      ...CLINIC_PG_CHECKS,
    ],
  }
  const { yaml, secrets } = configuration(servers, clinics)
  mkdirSync(join(folder, 'secrets'))
  for (const [name, value] of Object.entries(secrets))
    writeFileSync(join(folder, 'secrets', name), value, { mode: 0o600 })
  await salvor(folder, 'keys', 'create', '--out', 'secrets/salvor-keys.json', '--recovery', 'recovery-key.pem')
  writeFileSync(join(folder, 'salvor.yaml'), yaml)
  screen.title('Five services, one Redis, one catalog')
  const services = SERVICES.map((name) => stack.use(startService(folder, name, join(folder, `${name}.log`))))
  screen.line(`${SERVICES.join(', ')}: a process each; a new source is backed up at once`)

  const catalog = await openCatalog({ url: null, data_dir: join(folder, 'salvor-data'), ids: systemIds, holderAlive })
  stack.defer(() => catalog.close())
  screen.title('The way of each backup')
  const story = new Story(catalog, servers.receiver, (source, step, text) => screen.step(source, step, text))
  const fire = async (dueInMs: number): Promise<void> => {
    const dueAt = new Date(Date.now() + dueInMs)
    writeFileSync(join(folder, 'salvor.yaml'), configuration(servers, { ...clinics, dueAt }).yaml)
    services[0]?.reload()
    screen.line(
      `         the schedule is changed and the scheduler told (kill -HUP): due at ${dueAt.toISOString().slice(11, 19)} UTC`,
    )
  }
  const told = await Promise.race([watch(story, fire), ...services.map((service) => service.died)])
  screen.title('Back again')
  const rows = await compareRows({ folder, sqlite, postgres, servers, screen })
  assertInvariant(join(folder, 'back/desk.db'))
  screen.line('')
  for (const line of (await salvor(folder, 'window', 'clinic')).trimEnd().split('\n'))
    screen.line(`             ${line}`)
  const missing = [...(told ? [] : story.missing(SOURCES)), ...rows]
  const board = await queuesAddress()
  screen.line('')
  screen.line('Any instant  ./salvor restore clinic --at "2025-11-27 14:02:59" --to /new/place')
  screen.line(`Restore      ./salvor restore desk --to /new/place/desk.db      (this demo's folder: ${folder})`)
  screen.line(`Queues       ${board ?? 'no address was printed'}`)
  for (const what of servers.missing) screen.line(`Not run here ${what}`)
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  if (missing.length > 0 || board === null) {
    screen.line(`✗ not shown: ${missing.join('; ')} (${seconds} s)`)
    return 1
  }
  const places = ['local', ...(servers.s3 ? ['S3'] : []), ...(servers.azure ? ['Azure'] : [])].join(', ')
  screen.line(
    `✓ both databases were taken live, copied to ${places}, proven by a restore and reported, in ${seconds} s`,
  )
  if (process.stdout.isTTY && process.env['CI'] === undefined) await stayUp(story)
  return 0
}

/** True when the story is complete; false when it took too long. */
async function watch(story: Story, fire: (dueInMs: number) => Promise<void>): Promise<boolean> {
  let dueIn = DUE_IN_MS
  let tryAgainAt = 0
  for (const end = performance.now() + GIVE_UP_MS; performance.now() < end; await pause(250)) {
    stop.signal.throwIfAborted()
    if (await story.look(SOURCES)) return true
    if (story.taken(SOURCES) && !story.due(SOURCES) && performance.now() > tryAgainAt) {
      await fire(dueIn)
      tryAgainAt = performance.now() + dueIn + LATE_MS
      dueIn *= 2
    }
  }
  return false
}

async function stayUp(story: Story): Promise<void> {
  screen.line('It goes on until Ctrl-C.')
  while (!stop.signal.aborted) {
    await story.look(SOURCES)
    await pause(500)
  }
}

/** The scheduler says it once, on its log: with the token it opens one browser. */
async function queuesAddress(): Promise<string | null> {
  const { readFileSync } = await import('node:fs')
  return (
    /http:\/\/127\.0\.0\.1:\d+\/queues\/enter\/[\w-]+/.exec(readFileSync(join(folder, 'scheduler.log'), 'utf8'))?.[0] ??
    null
  )
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
