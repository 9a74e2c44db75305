import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import type { TaskContext } from './task-context.ts'

const GRACE_MS = 10_000
/** Of its output the end is logged. */
const LAST_BYTES = 16_384
/** What programs need to run at all; the configuration's own variables hold secrets. */
const PASSED = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'TZ', 'TMPDIR', 'SHELL'] as const

/** Runs one command of a source's `hooks`, without a shell. Its output goes into the log. HOOK_FAILED: it did not end with 0 in time. */
export async function hook(
  { source, which, env }: TaskTable['hook']['input'],
  context: TaskContext,
): Promise<TaskTable['hook']['output']> {
  const { config, log, scratch_dir, clock, signal } = context
  const hooks = config.settings.sources.get(source)?.hooks
  const [program, ...args] = hooks?.[which] ?? []
  const began = clock.monotonicMs()
  if (!hooks || program === undefined) return { duration_ms: 0 }
  const output = join(scratch_dir, 'hook.out')
  // A file, not a pipe: what the command leaves running in the background may go on writing.
  await using file = await open(output, 'w+', 0o600)
  const passed = Object.fromEntries(
    PASSED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
  const how = await ended(
    program,
    args,
    { env: { ...passed, ...env }, output: file.fd, timeout_ms: hooks.timeout_ms },
    signal,
  )
  const lines = await lastLines(file)
  const facts = { source, hook: which, how: how ?? 'exit code 0', output: lines }
  if (how === null) log.info(facts, 'a hook ran')
  else log.warn(facts, 'a hook failed')
  signal.throwIfAborted()
  if (how !== null) throw new SalvorError('HOOK_FAILED', { source, which, how })
  return { duration_ms: Math.round(clock.monotonicMs() - began) }
}

interface Running {
  readonly env: Readonly<Record<string, string>>
  readonly output: number
  readonly timeout_ms: number
}

/** Null: it ended well; else how it ended. */
async function ended(
  program: string,
  args: readonly string[],
  { env, output, timeout_ms }: Running,
  signal: AbortSignal,
): Promise<string | null> {
  const child = spawn(program, args, { env, stdio: ['ignore', output, output], detached: true })
  const timeout = AbortSignal.timeout(timeout_ms)
  const stopping = AbortSignal.any([signal, timeout])
  let killer: NodeJS.Timeout | undefined
  const stop = (): void => {
    killGroup(child.pid, 'SIGTERM')
    killer = setTimeout(() => killGroup(child.pid, 'SIGKILL'), GRACE_MS)
  }
  const { promise, resolve } = Promise.withResolvers<string | null>()
  child.once('error', (error: NodeJS.ErrnoException) => resolve(`it could not be started (${error.code})`))
  child.once('exit', (code, killedBy) => {
    if (timeout.aborted) resolve(`no end within ${Math.round(timeout_ms / 1000)} s`)
    else resolve(code === 0 ? null : killedBy === null ? `exit code ${code}` : `signal ${killedBy}`)
  })
  stopping.addEventListener('abort', stop, { once: true })
  if (stopping.aborted) stop()
  const how = await promise
  stopping.removeEventListener('abort', stop)
  clearTimeout(killer)
  return how
}

function killGroup(pid: number | undefined, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name)
  } catch {
    // Nobody is left.
  }
}

async function lastLines(file: Awaited<ReturnType<typeof open>>): Promise<readonly string[]> {
  const { size } = await file.stat()
  const buffer = Buffer.alloc(Math.min(size, LAST_BYTES))
  const { bytesRead } = await file.read(buffer, 0, buffer.length, size - buffer.length)
  return buffer.toString('utf8', 0, bytesRead).split('\n').filter(Boolean).slice(-100)
}
