import { execFileSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { openChangeWorld } from '@salvor/runtime/change-sets.fixture'
import type { Deps } from '@salvor/shared/ports/service'
import type { Store } from '@salvor/shared/ports/store'
import { expect, test } from 'vitest'
import { changeStreaming } from './change-streaming.ts'

const IDLE_MS = 8_000

/** As another program. */
function write(file: string, sql: string): void {
  const program = `const { DatabaseSync } = require('node:sqlite'); new DatabaseSync(process.argv[1]).exec(process.argv[2])`
  execFileSync(process.execPath, ['-e', program, file, sql])
}

/** The same stores; counts whatever is asked of them. */
function counting(deps: Deps): { readonly deps: Deps; readonly requests: () => number } {
  let requests = 0
  const counted = (real: Store): Store =>
    new Proxy(real, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => {
          requests += 1
          return Reflect.apply(value, target, args)
        }
      },
    })
  return { deps: { ...deps, store: (name) => counted(deps.store(name)) }, requests: () => requests }
}

test('a followed database to which nobody writes leads to no request to a store', async () => {
  await using world = await openChangeWorld()
  write(world.path('desk.db'), 'PRAGMA journal_mode = WAL')
  await world.backup()
  const { deps, requests } = counting(world.deps)
  const stop = new AbortController()
  const running = changeStreaming.open(deps, 'desk').run(stop.signal)
  running.catch(() => undefined)
  try {
    const last = async () => await deps.catalog.lastChangeSet('desk')
    const stored = async (): Promise<string> => {
      for (const end = performance.now() + 60_000; performance.now() < end; await pause(100)) {
        const name = (await last())?.name
        if (name !== undefined) return name
      }
      throw new Error('no set was stored')
    }
    const first = await stored()
    // What follows the first set: the log is let go, and the state of the stream is told.
    await pause(2_000)
    const before = requests()
    expect(before).toBeGreaterThan(0)
    await pause(IDLE_MS)
    expect([requests() - before, (await last())?.name]).toEqual([0, first])
  } finally {
    stop.abort()
    await running.catch(() => undefined)
  }
})
