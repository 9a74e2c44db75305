import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EngineContext } from '@salvor/shared/ports/engine'
import type { Log } from '@salvor/shared/ports/log'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { instantOf, type Instant } from '@salvor/shared/vocabulary/instant'

export interface Bench extends Disposable {
  /** A folder of this test, removed on disposal. */
  readonly folder: string
  path(name: string): string
  /** A context with a scratch folder of its own. What it logs and reports is kept. */
  context(source?: string): EngineContext & { readonly messages: string[]; readonly reported: RunProgress[] }
}

/** A temporary folder and engine contexts in it. */
export function openBench(): Bench {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-test-'))
  let contexts = 0
  return {
    folder,
    path: (name) => join(folder, name),
    context(source = 'clinic') {
      contexts += 1
      const scratch_dir = join(folder, `scratch-${contexts}`)
      mkdirSync(scratch_dir, { mode: 0o700 })
      const messages: string[] = []
      const reported: RunProgress[] = []
      const progress = (progress: RunProgress): void => void reported.push(progress)
      return { source, scratch_dir, log: keepingLog(messages), now, progress, server_programs: [], messages, reported }
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** The wall clock with microseconds. */
export function now(): Instant {
  return instantOf(BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)))
}

function keepingLog(messages: string[]): Log {
  const keep = (_facts: object, message: string): void => void messages.push(message)
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep, child: () => log }
  return log
}
