import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Runnable } from './measure.ts'

/** The command of this checkout, as a user starts it: what was compiled from the present sources. */
const SALVOR = fileURLToPath(new URL('../salvor', import.meta.url))

/** Everything of one bench lies in one folder in memory, so that no disk decides; removed at the end. */
export interface Workplace extends Disposable {
  readonly folder: string
  path(...parts: string[]): string
  /** An empty folder of that name. */
  fresh(name: string): string
  write(name: string, text: string): string
  salvor(...args: string[]): Runnable
}

export function makeWorkplace(): Workplace {
  // Compiled now, so that no measurement counts it.
  execFileSync(SALVOR, ['--version'], { stdio: ['ignore', 'ignore', 'inherit'] })
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'salvor-bench-'))
  // PostgreSQL servers run as another user when the bench runs as root.
  chmodSync(folder, 0o755)
  const path = (...parts: string[]): string => join(folder, ...parts)
  return {
    folder,
    path,
    fresh(name) {
      rmSync(path(name), { recursive: true, force: true })
      mkdirSync(path(name), { recursive: true })
      return path(name)
    },
    write(name, text) {
      writeFileSync(path(name), text, { mode: 0o600 })
      return path(name)
    },
    salvor: (...args) => ({ command: SALVOR, args, cwd: folder }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Path of a program, or null where it is not installed. */
export function program(name: string): string | null {
  const found = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name], { encoding: 'utf8' })
  return found.status === 0 ? found.stdout.trim() : null
}

/** Bytes below a folder. */
export function bytesIn(folder: string): number {
  return Number(spawnSync('du', ['-sb', folder], { encoding: 'utf8' }).stdout.split('\t')[0])
}
