import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { onTestFailed } from 'vitest'
import type { Place } from './service.fixture.ts'
import { until } from './world.fixture.ts'

export interface Child extends AsyncDisposable {
  readonly child: ChildProcess
  readonly log: () => string
  kill(signal: NodeJS.Signals): void
  /** Exit code, or the signal that ended it. */
  exited(): Promise<number | NodeJS.Signals>
}

/** Starts a service process and waits until it says that it is ready. */
export async function startChild(place: Place, name: string, ready = true): Promise<Child> {
  const main = fileURLToPath(new URL('./service-main.fixture.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=source', main, place.folder, name], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, SALVOR_LOG_LEVEL: 'info' },
  })
  let log = ''
  child.stderr.on('data', (part: Buffer) => (log += part.toString()))
  onTestFailed(() => console.log(`${name} (${child.exitCode ?? child.signalCode ?? 'runs'}) said:\n${log}`))
  const exit = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)
  const started: Child = {
    child,
    log: () => log,
    kill: (signal) => void child.kill(signal),
    exited: () => exit,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await exit
    },
  }
  if (ready) {
    await until(() => {
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${log}`)
      return existsSync(place.file(`ready-${name}`))
    }, 60_000)
  }
  return started
}

export function linesOf(place: Place, file: string): string[] {
  return existsSync(place.file(file)) ? readFileSync(place.file(file), 'utf8').split('\n').slice(0, -1) : []
}
