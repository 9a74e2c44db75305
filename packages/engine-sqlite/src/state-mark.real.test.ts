import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { now, openBench, type Bench } from '@salvor/testkit/fakes/engine-context'
import { createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { openEngine } from './index.ts'

const STEPS = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 1_000 : 150
/** Longer than a tick of any kernel's clock: what the age of marked files is for, without the waiting. */
const TICK_MS = 12
const LOOK = 'SELECT count(*) FROM patients'
const CHANGE = 'UPDATE patients SET seen = seen + 1 WHERE id = 7'

/** The mark of files that look an hour old: `TICK_MS` before each change stand for the real age. */
async function markOf(bench: Bench, path: string): Promise<string | null> {
  await pause(TICK_MS)
  const engine = openEngine({ path }, { ...bench.context(), now: () => shifted(now(), 3_600_000) })
  const mark = await engine.stateMark!()
  await pause(TICK_MS)
  return mark
}

function open(path: string): Database.Database {
  const database = new Database(path)
  // Nothing is moved into the main file unless a test says so.
  database.pragma('wal_autocheckpoint = 0')
  return database
}

function change(path: string, sql = CHANGE): void {
  const database = new Database(path)
  database.exec(sql)
  database.close()
}

const walSize = (path: string): number => statSync(`${path}-wal`).size

test.each(['wal', 'delete', 'truncate', 'persist'] as const)(
  'a look leaves the mark as it is, and each commit gives another, though the file keeps its size (%s)',
  async (journal) => {
    using bench = openBench()
    const path = bench.path('clinic.db')
    createClinic(path, { rows: 200, journal })
    const size = statSync(path).size
    const marks = new Set<string | null>()
    // Some looks tidy up what the one before left behind.
    change(path, LOOK)
    for (let turn = 0; turn < 3; turn += 1) {
      const mark = await markOf(bench, path)
      expect(mark).toMatch(/^[0-9a-f]{64}$/)
      change(path, LOOK)
      expect(await markOf(bench, path)).toBe(mark)
      marks.add(mark)
      change(path)
    }
    expect(statSync(path).size).toBe(size)
    expect(marks.add(await markOf(bench, path)).size).toBe(4)
  },
)

test('a commit that only lies in the log, its way into the main file and a log that begins anew each give another mark', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 200 })
  const application = open(path)
  const reader = open(path)
  try {
    const marks = [await markOf(bench, path)]
    application.exec(CHANGE)
    application.exec(CHANGE)
    marks.push(await markOf(bench, path))
    application.pragma('wal_checkpoint(PASSIVE)')
    marks.push(await markOf(bench, path))
    // The next commit begins the log anew, inside its old size.
    const size = walSize(path)
    application.exec(CHANGE)
    expect(walSize(path)).toBe(size)
    marks.push(await markOf(bench, path))
    application.exec(CHANGE)
    expect(walSize(path)).toBe(size)
    marks.push(await markOf(bench, path))
    application.pragma('wal_checkpoint(TRUNCATE)')
    marks.push(await markOf(bench, path))
    expect(new Set(marks).size).toBe(marks.length)
    reader.prepare(LOOK).get()
    expect(await markOf(bench, path)).toBe(marks.at(-1))
  } finally {
    reader.close()
    application.close()
  }
})

test('a writer that rolled back leaves the state as it was, and what it commits afterwards shows', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 200 })
  const application = open(path)
  try {
    application.exec(CHANGE)
    const before = await markOf(bench, path)
    application.exec(`BEGIN; ${CHANGE}; ROLLBACK`)
    expect(await markOf(bench, path)).toBe(before)
    // A transaction that outgrows its memory writes to the log before it ends, and this one never commits.
    application.pragma('cache_size = 2')
    application.exec('BEGIN; UPDATE visits SET findings = findings || 1')
    const spilled = await markOf(bench, path)
    application.exec('ROLLBACK')
    const rolled = await markOf(bench, path)
    application.exec(CHANGE)
    const after = await markOf(bench, path)
    expect([before, spilled, rolled]).not.toContain(after)
  } finally {
    application.close()
  }
})

test('a byte written in place with the old time put back, and another file of the same name, size and time, are told', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 200 })
  const { atime, mtime } = statSync(path)
  const first = await markOf(bench, path)
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.from('x'), 0, 1, 100_000)
  closeSync(fd)
  utimesSync(path, atime, mtime)
  const second = await markOf(bench, path)
  expect(second).not.toBe(first)
  copyFileSync(path, bench.path('other.db'))
  utimesSync(bench.path('other.db'), atime, mtime)
  renameSync(bench.path('other.db'), path)
  expect(await markOf(bench, path)).not.toBe(second)
})

test('a program that writes through mapped memory is told by the counter in page 1, where the file keeps its time', async (context) => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 200, journal: 'delete' })
  const child = spawn('python3', ['-c', MAPPED_WRITER, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  const gone = once(child, 'error').then(() => false)
  if (!(await Promise.race([gone, once(child.stdout, 'data').then(() => true)]))) context.skip('needs python3')
  try {
    const marks = [await markOf(bench, path)]
    const times: bigint[] = []
    for (let turn = 0; turn < 2; turn += 1) {
      child.stdin.write('\n')
      await once(child.stdout, 'data')
      marks.push(await markOf(bench, path))
      times.push(statSync(path, { bigint: true }).mtimeNs)
    }
    expect(new Set(marks).size).toBe(3)
    console.log(`the second write through the map moved the file's time: ${times[0] !== times[1]}`)
  } finally {
    child.kill('SIGKILL')
  }
})

/** Begins with a write, after which the kernel has no more reason to touch the file's time; then one commit a line. */
const MAPPED_WRITER = `
import mmap, struct, sys
with open(sys.argv[1], 'r+b') as f:
    m = mmap.mmap(f.fileno(), 0)
    count = struct.unpack('>I', m[24:28])[0]
    m[24:28] = struct.pack('>I', count)
    print('ready', flush=True)
    for line in sys.stdin:
        count += 1
        m[50000:50001] = bytes([count % 256])
        m[24:28] = m[92:96] = struct.pack('>I', count)
        print('written', flush=True)
`

test('the log of a writer that was killed stays marked until somebody commits again', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 200 })
  const writer = await startWriter(path, { tps: 200 })
  await pause(300)
  await writer.kill()
  const before = await markOf(bench, path)
  expect(before).not.toBeNull()
  expect(await markOf(bench, path)).toBe(before)
  change(path)
  expect(await markOf(bench, path)).not.toBe(before)
})

test('there is no mark of what was written just now, has two names, is no file or is not there', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 50 })
  const mark = (name: string) => openEngine({ path: bench.path(name) }, bench.context()).stateMark!()
  expect(await mark('clinic.db')).toBeNull()
  linkSync(path, bench.path('linked.db'))
  expect(await markOf(bench, path)).toBeNull()
  rmSync(bench.path('linked.db'))
  expect(await markOf(bench, path)).not.toBeNull()
  expect(await mark('nothing.db')).toBeNull()
  expect(await mark('.')).toBeNull()
  // A clock that was set back: files from the future.
  utimesSync(path, new Date(Date.now() + 7_200_000), new Date(Date.now() + 7_200_000))
  expect(await markOf(bench, path)).toBeNull()
})

test('a look at a database that this very process has open drops none of its locks', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 50 })
  const application = open(path)
  try {
    application.exec(CHANGE)
    const files = ['', '-wal', '-shm'].map((end) => `:${statSync(path + end).ino} `)
    const locks = (): ReadonlySet<string> => {
      const lines = readFileSync('/proc/locks', 'utf8').split('\n')
      const own = lines.filter((line) => files.some((file) => line.includes(` ${process.pid} `) && line.includes(file)))
      return new Set(own.map((line) => line.slice(line.indexOf(':'))))
    }
    const held = locks()
    expect(held.size).toBeGreaterThan(0)
    expect(await markOf(bench, path)).not.toBeNull()
    expect(locks()).toEqual(held)
  } finally {
    application.close()
  }
})

test('whatever programs do, one mark never stands for two states', { timeout: 1_200_000 }, async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 20 })
  const seed = Number(process.env['SALVOR_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  const random = generator(seed)
  console.log(`seed ${seed} (SALVOR_TEST_SEED), ${STEPS} steps`)
  const states = new Map<string, string>()
  let programs = [open(path), open(path)]
  let again = 0
  for (let step = 0; step < STEPS; step += 1) {
    const deed = DEEDS[Math.floor(random() * DEEDS.length)]!
    if (deed === 'reopen') {
      for (const program of programs) program.close()
      programs = [open(path), open(path)]
    } else if (deed === 'all leave') {
      for (const program of programs) program.close()
      programs = []
    } else if (deed !== 'nothing') {
      if (programs.length === 0) programs = [open(path), open(path)]
      attempt(programs[Math.floor(random() * programs.length)]!, deed)
    }
    const mark = await markOf(bench, path)
    if (mark === null) continue
    const state = stateOf(path)
    const known = states.get(mark)
    if (known !== undefined) again += 1
    expect({ seed, step, deed, state: known ?? state }).toEqual({ seed, step, deed, state })
    states.set(mark, state)
  }
  for (const program of programs) program.close()
  console.log(`${states.size} marks, ${again} of them seen again`)
  expect(again).toBeGreaterThan(0)
})

function attempt(program: Database.Database, deed: string): void {
  try {
    program.exec(deed)
  } catch (error) {
    // In the other program's way: it did nothing.
    if (!/locked|busy/.test(String(error))) throw error
  }
}

const DEEDS = [
  CHANGE,
  CHANGE,
  'UPDATE ledger SET amount = -amount',
  `BEGIN; ${CHANGE}; ROLLBACK`,
  LOOK,
  'PRAGMA wal_checkpoint(PASSIVE)',
  'PRAGMA wal_checkpoint(RESTART)',
  'PRAGMA wal_checkpoint(TRUNCATE)',
  'VACUUM',
  'PRAGMA journal_mode = DELETE',
  'PRAGMA journal_mode = WAL',
  'PRAGMA user_version = 1; PRAGMA user_version = 2',
  'DELETE FROM visits WHERE id = (SELECT max(id) FROM visits)',
  'INSERT INTO visits SELECT NULL, patient_id, at, reason, findings FROM visits LIMIT 5',
  'reopen',
  'all leave',
  'nothing',
] as const

/** Of all rows. From a copy that another process makes: closing the file here would drop the locks of the programs above. */
function stateOf(path: string): string {
  const copy = `${path}.copy`
  for (const end of ['', '-wal', '-shm']) rmSync(copy + end, { force: true })
  for (const end of ['', '-wal']) if (existsSync(path + end)) execFileSync('cp', [path + end, copy + end])
  const database = new Database(copy)
  try {
    const digest = createHash('sha256')
    for (const table of ['patients', 'visits', 'ledger', 'images']) {
      digest.update(JSON.stringify(database.prepare(`SELECT * FROM ${table} ORDER BY id`).all()))
    }
    return digest.update(String(database.pragma('user_version', { simple: true }))).digest('hex')
  } finally {
    database.close()
  }
}

/** Mulberry32: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
