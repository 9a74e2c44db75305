import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'vitest'

/** The command of this checkout, which runs what was compiled from the present sources. */
export const SALVOR = fileURLToPath(new URL('../../salvor', import.meta.url))
let compiled: Promise<unknown> | null = null

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** The one document on stdout of a command with --json. */
  json<T>(): T
}

export interface RunOptions {
  readonly env?: Record<string, string>
  readonly killAfterMs?: number
  /** Killed when this is first true; asked every few milliseconds. */
  readonly killWhen?: () => boolean
}

/** A folder with a salvor.yaml, and the command as a person would type it there. */
export interface Home extends AsyncDisposable {
  readonly folder: string
  path(...parts: string[]): string
  configure(yaml: string): Promise<void>
  run(...args: string[]): Promise<Ended>
  runWith(options: RunOptions, ...args: string[]): Promise<Ended>
  /** A service as a process of its own; killed at the end if it still runs. */
  service(name: string, env?: Record<string, string>): Service
}

export interface Service {
  readonly name: string
  readonly child: ChildProcess
  /** What it logged so far. */
  readonly log: () => string
  kill(signal: NodeJS.Signals): Promise<void>
}

export async function makeHome(): Promise<Home> {
  // Once, so that later starts are one process each, which a test may kill.
  await (compiled ??= promisify(execFile)(SALVOR, ['--version']))
  const folder = await mkdtemp(join(tmpdir(), 'salvor-test-'))
  const services: Service[] = []
  const env = { ...process.env, NO_COLOR: '1' }
  const runWith: Home['runWith'] = (options, ...args) => command(folder, { ...env, ...options.env }, args, options)
  return {
    folder,
    path: (...parts) => join(folder, ...parts),
    configure: (yaml) => writeFile(join(folder, 'salvor.yaml'), yaml, { mode: 0o600 }),
    run: (...args) => runWith({}, ...args),
    runWith,
    service(name, more = {}) {
      const service = startService(folder, name, { ...env, ...more })
      services.push(service)
      return service
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service.kill('SIGKILL')))
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function command(
  cwd: string,
  env: NodeJS.ProcessEnv,
  args: readonly string[],
  { killAfterMs, killWhen }: RunOptions,
): Promise<Ended> {
  const child = spawn(SALVOR, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (data: Buffer) => out.push(data))
  child.stderr.on('data', (data: Buffer) => err.push(data))
  if (killAfterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  const watch = killWhen && setInterval(() => killWhen() && child.kill('SIGKILL'), 5)
  child.once('exit', () => clearInterval(watch))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      const stdout = Buffer.concat(out).toString()
      const stderr = Buffer.concat(err).toString()
      const json = <T>(): T => {
        expect(stdout, `no document on stdout; stderr: ${stderr}`).toMatch(/^\{/)
        return JSON.parse(stdout) as T
      }
      resolve({ code, stdout, stderr, json })
    })
  })
}

function startService(cwd: string, name: string, env: NodeJS.ProcessEnv): Service {
  const child = spawn(SALVOR, ['service', name], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log: Buffer[] = []
  child.stdout.on('data', (data: Buffer) => log.push(data))
  child.stderr.on('data', (data: Buffer) => log.push(data))
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return {
    name,
    child,
    log: () => Buffer.concat(log).toString(),
    async kill(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      await exited
    },
  }
}

/** Looks again and again until `look` gives something, or says what it saw last. */
export async function until<T>(
  what: string,
  look: () => Promise<T | null | undefined | false>,
  ms = 60_000,
): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (performance.now() > end) throw new Error(`waited ${ms} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
