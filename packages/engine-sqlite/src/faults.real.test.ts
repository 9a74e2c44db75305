import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openBench } from '@salvor/testkit/fakes/engine-context'
import { openFileSink } from '@salvor/testkit/fakes/file-sink'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { assertInvariant, createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { expect, test } from 'vitest'
import { LIMITS } from './config.ts'
import { openEngine } from './index.ts'

const never = new AbortController().signal

/** Processes in which Salvor has SQLite open, by their parent. */
function helpersOf(parent: number): number[] {
  const helpers: number[] = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      if (Number(fields[1]) === parent && command.includes('engine-sqlite/src/child/main')) helpers.push(Number(pid))
    } catch {
      // It ended meanwhile.
    }
  }
  return helpers
}

async function eventually(what: () => boolean): Promise<void> {
  for (let look = 0; !what(); look += 1) {
    if (look > 200) throw new Error('did not come true')
    await pause(25)
  }
}

/** Locks of the SQLite helper on the database: a full checkpoint is possible only without them. */
async function expectLockFree(path: string): Promise<void> {
  await using application = await openElsewhere(path)
  await application.exec('BEGIN EXCLUSIVE; UPDATE patients SET seen = seen; COMMIT')
  expect(await application.get('PRAGMA wal_checkpoint(TRUNCATE)')).toBe(0)
}

test('an abort frees the locks at once, whatever the sink is doing', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 2_000 })
  const abort = new AbortController()
  await using sink = openFileSink(null, { beforeChunk: () => pause(500) })
  const snapshot = openEngine({ path }, bench.context()).snapshot(sink, abort.signal)
  const failed = snapshot.catch((error: unknown) => error)
  await eventually(() => sink.size > 0)
  const begun = performance.now()
  abort.abort()
  expect(await failed).toMatchObject({ code: 'INTERRUPTED', exit: 130 })
  expect(performance.now() - begun).toBeLessThan(400)
  expect(helpersOf(process.pid)).toEqual([])
  await expectLockFree(path)
})

test('a run that is aborted before it begins starts no process', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 10 })
  await using sink = openFileSink(null)
  const snapshot = openEngine({ path }, bench.context()).snapshot(sink, AbortSignal.abort())
  await expect(snapshot).rejects.toMatchObject({ code: 'INTERRUPTED' })
})

test('kill -9 of the process that holds the locks fails the run and leaves the source healthy', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 2_000 })
  await using writer = await startWriter(path, { tps: 200 })
  await using sink = openFileSink(null, { beforeChunk: () => pause(200) })
  const snapshot = openEngine({ path }, bench.context()).snapshot(sink, never)
  const failed = snapshot.catch((error: unknown) => error)
  await eventually(() => sink.size > 0)
  for (const pid of helpersOf(process.pid)) process.kill(pid, 'SIGKILL')
  expect(await failed).toMatchObject({ code: 'TASK_DIED', retryable: true })
  expect((await writer.stop()).errors).toBe(0)
  assertInvariant(path)
  await expectLockFree(path)
})

const RUN = `
  const [path, scratch] = process.argv.slice(1)
  const { adapter } = await import('@salvor/engine-sqlite')
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
  const context = { source: 'clinic', scratch_dir: scratch, log, now: () => '2026-01-01T00:00:00.000000Z', progress() {}, server_programs: [] }
  const sink = { write: () => undefined, writeFile: () => new Promise(() => { console.log('reading'); setInterval(() => {}, 1000) }) }
  await adapter.open({ path }, context).snapshot(sink, new AbortController().signal)
`

test('kill -9 of the run takes the process that holds the locks with it', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 500 })
  await using writer = await startWriter(path, { tps: 200 })
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const run = spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', RUN, path, bench.folder], {
    cwd,
  })
  await new Promise((resolve) => run.stdout.once('data', resolve))
  const [helper] = helpersOf(run.pid ?? -1)
  expect(helper).toBeGreaterThan(0)
  run.kill('SIGKILL')
  await eventually(() => {
    try {
      return !readFileSync(`/proc/${helper}/cmdline`, 'utf8').includes('engine-sqlite')
    } catch {
      return true
    }
  })
  expect((await writer.stop()).errors).toBe(0)
  assertInvariant(path)
  await expectLockFree(path)
})

test('where no lock is short enough, the source is left alone and healthy, whatever becomes of the backup', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 500 })
  await using writer = await startWriter(path, { tps: 1_000 })
  const context = bench.context()
  await using sink = openFileSink(bench.path('copy.db'))
  const engine = openEngine({ path }, context, { ...LIMITS, write_lock_ms: 1 })
  const outcome = await engine.snapshot(sink, never).then(
    (facts) => facts.engine_facts['route'],
    (error: { code: string }) => error.code,
  )
  expect(['freeze', 'backup-api', 'TASK_DIED']).toContain(outcome)
  expect((await writer.stop()).errors).toBe(0)
  assertInvariant(path)
  await expectLockFree(path)
})

test('a sink that fails ends the run with its own error and frees the source', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 500 })
  const broken = new Error('the store is full')
  const sink = { write: () => undefined, writeFile: () => Promise.reject(broken) }
  await expect(openEngine({ path }, bench.context()).snapshot(sink, never)).rejects.toMatchObject({ cause: broken })
  await expectLockFree(path)
})
