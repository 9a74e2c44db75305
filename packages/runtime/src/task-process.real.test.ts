import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Log } from '@salvor/shared/ports/log'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fakeAdapters } from './config/fake-adapters.fixture.ts'
import { loadConfig } from './config/load-config.ts'
import { holderAlive, thisHolder } from './holder.ts'
import { createLog } from './log.ts'
import { forkTasks } from './task-process.ts'
import { emptySandbox, makeScratch } from './tasks/scratch.ts'

const SECRET = 'cAnAry-of-this-test'
const TEXT = `data_dir: data
stores: { local: { kind: disk, path: b } }
sources: { app: { engine: filedb, path: a } }
redis: { url: "redis://u:\${REDIS_PASSWORD}@h" }
`
const silent: Log = createLog({ level: 'error', secrets: () => [], write: () => {} })

async function site() {
  const folder = await mkdtemp(join(tmpdir(), 'salvor-task-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await mkdir(join(folder, 'data'))
  const file = join(folder, 'salvor.yaml')
  await writeFile(file, TEXT)
  const env = { ...process.env, REDIS_PASSWORD: SECRET, OTHER: 'kept' }
  const config = await loadConfig(file, env, fakeAdapters())
  const options = { config: () => config, env, max_old_space_mb: 64, log: silent, grace_ms: 300 }
  const tasks = forkTasks({ ...options, main: new URL('./tasks/task-main.fixture.ts', import.meta.url) })
  const seen: RunProgress[] = []
  const run = (way: string, signal = new AbortController().signal): Promise<unknown> => {
    const which = { backup_id: 'b', filename: 'f', store: way, manifest_key: 'k', manifest_sha256: null }
    const input = { ...which, level: 'checksum' } as const
    return tasks.run('inspect', input, (progress) => seen.push(progress), signal)
  }
  return { folder, file, env, seen, tasks, run, data: join(folder, 'data'), sandbox: join(folder, 'data', 'sandbox') }
}

/** Task processes that this process has. */
async function taskProcesses(): Promise<number[]> {
  const pids = (await readFile(`/proc/self/task/${process.pid}/children`, 'utf8'))
    .split(' ')
    .filter(Boolean)
    .map(Number)
  const lines = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''))
  const found = await Promise.all(lines)
  return pids.filter((_, i) => found[i]?.includes('task-main.fixture'))
}

async function failureOf(run: Promise<unknown>): Promise<SalvorError> {
  const error = await run.catch((thrown: unknown) => thrown)
  if (!(error instanceof SalvorError)) throw new Error('it did not fail', { cause: error })
  return error
}

function alive(pid: number): boolean {
  // Not `kill(pid, 0)`: where nobody collects orphans, the dead stay listed.
  return holderAlive({ ...thisHolder(''), pid, start_time: 'unknown' }) === true
}

test('a task answers, and its scratch folder is gone', async () => {
  const { run, sandbox } = await site()
  expect(await run('answer')).toEqual({ checks: [{ name: 'k', ok: true, detail: '', duration_ms: 1 }] })
  expect(await readdir(sandbox)).toEqual([])
})

test('a task works by the configuration in force, not by an edit that nobody has reloaded', async () => {
  const { run, file } = await site()
  await writeFile(file, 'this is: [no configuration')
  expect(await run('facts')).toMatchObject({ url: `redis://u:${SECRET}@h`, umask: 0o077 })
})

test('no secret of the configuration is in argv or environ of the task process', async () => {
  const { run } = await site()
  const { environ, cmdline } = (await run('environment')) as { environ: string; cmdline: string }
  expect(environ).toContain('OTHER=kept')
  expect(environ + cmdline).not.toContain(SECRET)
  expect(environ + cmdline).not.toContain('redis://')
})

test('a failure crosses with code, facts and hint, and without secrets', async () => {
  const { run } = await site()
  const error = await failureOf(run('fail'))
  expect(error).toMatchObject({ code: 'SOURCE_UNREACHABLE', retryable: true, facts: { source: 'app', where: 'h' } })
  expect(error.hint).toContain('check that the server runs and that h is reachable')
  expect(JSON.stringify([error.message, error.facts])).not.toContain(SECRET)
})

test('a bug, caught or not, is INTERNAL', async () => {
  const { run } = await site()
  expect(await failureOf(run('bug'))).toMatchObject({ code: 'INTERNAL', facts: { what: 'TypeError' } })
  expect(await failureOf(run('thrown'))).toMatchObject({ code: 'INTERNAL' })
})

test.each([
  ['exit', 'exit code 7'],
  ['crash', 'signal SIGKILL'],
  ['memory', 'signal SIGABRT'],
])('a task process that ends by itself (%s) is TASK_DIED by %s, and its scratch folder is gone', async (way, how) => {
  const { run, sandbox } = await site()
  expect(await failureOf(run(way))).toMatchObject({
    code: 'TASK_DIED',
    retryable: true,
    facts: { task: 'inspect', how },
  })
  expect(await readdir(sandbox)).toEqual([])
})

test('a process that was started ahead of its order takes it; one that gets none ends with its owner', async () => {
  const { tasks, run } = await site()
  tasks.warmUp('inspect')
  const [ahead] = await taskProcesses()
  expect(ahead).toBeGreaterThan(0)
  const { checks } = (await run('large')) as { checks: readonly unknown[] }
  expect(checks).toHaveLength(100_000)
  await expect.poll(taskProcesses).toEqual([])
  tasks.warmUp('inspect')
  expect(await taskProcesses()).toHaveLength(1)
  tasks[Symbol.dispose]()
  await expect.poll(taskProcesses).toEqual([])
})

test('a flood of progress is thinned out, and the newest is told', async () => {
  const { run, seen } = await site()
  await run('flood')
  expect(seen.length).toBeGreaterThan(0)
  expect(seen.length).toBeLessThan(200)
  expect(seen.map((p) => p.done_bytes)).toEqual(seen.map((p) => p.done_bytes).toSorted((a, b) => a - b))
})

test('answers of megabytes cross whole', async () => {
  const { run, seen } = await site()
  const { checks } = (await run('large')) as { checks: readonly unknown[] }
  expect(checks).toHaveLength(100_000)
  expect(seen[0]?.phase).toHaveLength(5_000_000)
})

describe('an aborted task', () => {
  async function abortAt(way: string) {
    const at = await site()
    const abort = new AbortController()
    const running = at.run(way, abort.signal)
    running.catch(() => {})
    await expect.poll(() => at.seen.length, { timeout: 10_000 }).toBeGreaterThan(0)
    abort.abort()
    return { ...at, running, pid: at.seen[0]?.done_bytes ?? 0 }
  }

  test('cleans up, and is INTERRUPTED', async () => {
    const { running, data, sandbox, pid } = await abortAt('gentle')
    expect((await failureOf(running)).code).toBe('INTERRUPTED')
    expect(await readdir(data)).toContain('cleaned')
    expect(await readdir(sandbox)).toEqual([])
    expect(alive(pid)).toBe(false)
  })

  test('that does not stop is killed after a grace', async () => {
    const { running, sandbox, pid } = await abortAt('stubborn')
    expect((await failureOf(running)).code).toBe('INTERRUPTED')
    expect(await readdir(sandbox)).toEqual([])
    expect(alive(pid)).toBe(false)
  })

  test('takes with it what it has started', async () => {
    const { running, data } = await abortAt('server')
    expect((await failureOf(running)).code).toBe('INTERRUPTED')
    const server = Number(await readFile(join(data, 'server'), 'utf8'))
    await expect.poll(() => alive(server)).toBe(false)
  })

  test('that was done all the same gives its answer', async () => {
    const { running } = await abortAt('late')
    expect(await running).toEqual({ checks: [] })
  })

  test('tells the reason it was given', async () => {
    const { run } = await site()
    const abort = new AbortController()
    abort.abort(new SalvorError('LEASE_LOST', { run: 'r' }))
    expect((await failureOf(run('answer', abort.signal))).code).toBe('LEASE_LOST')
  })
})

test('a task ends with the service that started it, and removes its scratch folder', async () => {
  const { file, env, data, sandbox } = await site()
  const main = join(import.meta.dirname, 'tasks', 'service.fixture.ts')
  const service = spawn(process.execPath, ['--conditions=source', main, file, 'gentle'], { env, stdio: 'ignore' })
  const begun = join(data, 'begun')
  await expect.poll(() => readFile(begun, 'utf8').catch(() => ''), { timeout: 15_000 }).toMatch(/\d/)
  const pid = Number(await readFile(begun, 'utf8'))
  service.kill('SIGKILL')
  await once(service, 'exit')
  await expect.poll(() => alive(pid), { timeout: 10_000 }).toBe(false)
  expect(await readdir(data)).toContain('cleaned')
  expect(await readdir(sandbox)).toEqual([])
}, 30_000)

describe('the sandbox', () => {
  test('gives each run a folder that only this user may enter', async () => {
    const { sandbox } = await site()
    await using scratch = await makeScratch(sandbox, silent)
    expect((await stat(scratch.path)).mode & 0o777).toBe(0o700)
  })

  test('is emptied of what dead processes left, and of nothing else', async () => {
    const { sandbox } = await site()
    await using mine = await makeScratch(sandbox, silent)
    const name = mine.path.slice(sandbox.length + 1)
    const [, host, boot, pid, start] = name.split('.')
    const other = (...parts: unknown[]): string => ['task', ...parts, 'abcdefabcdef'].join('.')
    const dead = other(host, boot, pid, '1')
    const rebooted = other(host, '00000000', pid, start)
    const foreign = other('00000000', boot, pid, start)
    const silentOne = other('00000001', boot, pid, start)
    for (const folder of [dead, rebooted, foreign, silentOne, 'not-ours'])
      await mkdir(join(sandbox, folder, 'deep'), { recursive: true })
    const long = new Date(Date.now() - 3 * 3_600_000)
    await utimes(join(sandbox, silentOne), long, long)
    expect(await emptySandbox(sandbox, silent)).toBe(3)
    expect((await readdir(sandbox)).toSorted()).toEqual([name, foreign, 'not-ours'].toSorted())
  })

  test('that was never made is empty', async () => {
    expect(await emptySandbox('/nowhere/at/all', silent)).toBe(0)
  })
})
