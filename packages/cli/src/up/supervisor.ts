import { spawn, type ChildProcess } from 'node:child_process'
import { EXIT } from '@salvor/shared/errors/exit-codes'

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 30_000
/** A child that ran so long starts with a short wait again. */
const STEADY_MS = 60_000

export interface Supervised {
  readonly name: string
  readonly args: readonly string[]
}

/**
 * Keeps child processes running: one that ends is started again, later each time. A child that refuses its configuration
 * ends everything, since a restart cannot help. Resolves to an exit code when `signal` asked for the end.
 */
export async function supervise(
  children: readonly Supervised[],
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const running = new Map<string, ChildProcess>()
  const refused = new AbortController()
  const stop = AbortSignal.any([signal, refused.signal])
  const tell = (what: NodeJS.Signals): void => running.forEach((child) => child.kill(what))
  const reload = (): void => tell('SIGHUP')
  process.on('SIGHUP', reload)
  stop.addEventListener('abort', () => tell('SIGTERM'), { once: true })
  try {
    const codes = await Promise.all(
      children.map((child) => keep(child, env, running, say, stop, () => refused.abort())),
    )
    return codes.find((code) => code === EXIT.usage) ?? EXIT.done
  } finally {
    process.off('SIGHUP', reload)
  }
}

async function keep(
  wanted: Supervised,
  env: NodeJS.ProcessEnv,
  running: Map<string, ChildProcess>,
  say: (line: string) => void,
  stop: AbortSignal,
  refuse: () => void,
): Promise<number> {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    const began = performance.now()
    const child = spawn(process.execPath, [...process.execArgv, ...wanted.args], {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    running.set(wanted.name, child)
    const code = await new Promise<number>((resolve) => {
      child.once('error', () => resolve(EXIT.failed))
      child.once('exit', (exit, killed) => resolve(exit ?? (killed === 'SIGTERM' ? EXIT.done : EXIT.failed)))
    })
    running.delete(wanted.name)
    if (stop.aborted) return code
    if (code === EXIT.usage) {
      refuse()
      return code
    }
    if (performance.now() - began > STEADY_MS) wait = FIRST_WAIT_MS
    say(`${wanted.name} ended with ${code}; it starts again in ${wait / 1000} s`)
    await pause(wait, stop)
    if (stop.aborted) return EXIT.done
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
