import { fork, type ChildProcess } from 'node:child_process'
import { asSalvorError, fromFailure, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Log } from '@salvor/shared/ports/log'
import type { Tasks } from '@salvor/shared/ports/tasks'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { Environment, LoadedConfig } from './config/loaded-config.ts'
import type { LogLevel } from './log.ts'
import { makeScratch } from './tasks/scratch.ts'
import type { TaskOrder, TaskReport } from './tasks/task-messages.ts'

/** Of each half of the young generation: left to itself it grows to 100 MB and more of garbage; 4 costs a tenth more CPU. */
const YOUNG_MB = 16
const GRACE_MS = 15_000
/** Time to leave after the result was taken. */
const LEAVE_MS = 5_000

export interface ForkOptions {
  /** The configuration in force, asked anew for each task. */
  readonly config: () => LoadedConfig
  /** The environment of this process. Variables that the configuration names go over the pipe, not into the child's. */
  readonly env: Environment
  /** Limit of the child's JavaScript heap; buffers come on top. */
  readonly max_old_space_mb: number
  readonly log: Log
  readonly log_level?: LogLevel
  /** How long an aborted task may take to clean up before it is killed. */
  readonly grace_ms?: number
  /** The program of the child; default: task-main beside this file. */
  readonly main?: URL
}

export interface ForkedTasks extends Tasks, Disposable {
  /** Starts the process of the next task ahead of its order, for one that is sure to come: it loads its code meanwhile. */
  warmUp(task: string): void
}

/** Runs each task in a process of its own: its crash, its memory and its blocking are nobody else's. */
export function forkTasks(options: ForkOptions): ForkedTasks {
  let spare: ChildProcess | null = null
  return {
    warmUp(task) {
      spare ??= start(task, options, options.config().variables)
      // One that cannot be started is tried again, and told, when its order comes.
      for (const end of ['exit', 'error']) spare.once(end, () => (spare = null))
    },
    [Symbol.dispose]: () => void spare?.kill('SIGKILL'),
    async run(task, input, onProgress, signal) {
      if (signal.aborted) throw interrupted(signal)
      const { file, text, variables, sandbox_dir } = options.config()
      await using scratch = await makeScratch(sandbox_dir, options.log)
      const env = pick(options.env, variables)
      const log_level = options.log_level ?? 'info'
      const order: TaskOrder = { task, input, file, text, env, scratch_dir: scratch.path, log_level }
      const child = spare ?? start(task, options, variables)
      spare = null
      return (await perform(order, child, options, onProgress, signal)) as never
    },
  }
}

type Ending = { readonly output: unknown } | { readonly error: SalvorError }

/** One child from start to end; settles only when it is gone. */
async function perform(
  order: TaskOrder,
  child: ChildProcess,
  options: ForkOptions,
  onProgress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<unknown> {
  let ending: Ending | null = null
  let killer: NodeJS.Timeout | undefined
  const kill = (afterMs: number): void => {
    killer ??= setTimeout(() => killGroup(child), afterMs)
  }
  const stop = (): void => {
    child.kill('SIGTERM')
    kill(options.grace_ms ?? GRACE_MS)
  }
  signal.addEventListener('abort', stop, { once: true })
  child.on('message', (report: TaskReport) => {
    if (report.kind === 'progress') return onProgress(report.progress)
    ending = report.kind === 'done' ? { output: report.output } : { error: fromFailure(report.failure, report.facts) }
    if (child.connected) child.disconnect()
    kill(LEAVE_MS)
  })
  child.send(order, () => {
    // A child that could not be started, or died at once, is told by its end.
  })
  try {
    const how = await endOf(child)
    if (how.crashed) killGroup(child)
    return result(ending, new SalvorError('TASK_DIED', { task: order.task, how: how.words }), signal)
  } finally {
    clearTimeout(killer)
    signal.removeEventListener('abort', stop)
  }
}

function result(ending: Ending | null, died: SalvorError, signal: AbortSignal): unknown {
  // What is done is done: an abort that came too late does not undo a backup.
  if (ending && 'output' in ending) return ending.output
  if (signal.aborted) throw interrupted(signal)
  throw ending ? ending.error : died
}

function start(task: string, options: ForkOptions, variables: readonly string[]): ChildProcess {
  const main = options.main ?? new URL('./task-main.ts', import.meta.url)
  const sources = main.pathname.endsWith('.ts') ? ['--conditions=source'] : []
  return fork(main, [task], {
    env: without(options.env, variables),
    execArgv: [...sources, `--max-old-space-size=${options.max_old_space_mb}`, `--max-semi-space-size=${YOUNG_MB}`],
    // stdout is a command's document.
    stdio: ['ignore', 2, 2, 'ipc'],
    // A group of its own: the terminal's Ctrl-C reaches the parent alone, and a kill takes what the child has started.
    detached: true,
  })
}

function endOf(child: ChildProcess): Promise<{ readonly words: string; readonly crashed: boolean }> {
  return new Promise((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) resolve({ words: `a failed start (${error.code})`, crashed: false })
    })
    child.once('exit', (code, killedBy) => {
      resolve({ words: killedBy ? `signal ${killedBy}` : `exit code ${code}`, crashed: code !== 0 })
    })
  })
}

/** The child and what it has started, such as a server in the sandbox. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Nobody is left.
  }
}

function interrupted(signal: AbortSignal): SalvorError {
  const error = asSalvorError(signal.reason)
  return error.code === 'INTERNAL' ? new SalvorError('INTERRUPTED', {}, signal.reason) : error
}

/** Programs need these to run at all, and they hold no secrets. */
const ALWAYS: ReadonlySet<string> = new Set(['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'TZ', 'TMPDIR', 'SHELL'])

function without(env: Environment, names: readonly string[]): Record<string, string> {
  const kept = Object.entries(env).filter(([name]) => ALWAYS.has(name) || !names.includes(name))
  return Object.fromEntries(kept.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

function pick(env: Environment, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])))
}
