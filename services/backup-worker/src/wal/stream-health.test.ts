import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { WalProgress } from '@salvor/shared/ports/wal'
import { expect, test } from 'vitest'
import { StreamHealth } from './stream-health.ts'

const PERSON = new SalvorError('WAL_NOT_STREAMED', { source: 'clinic', reason: 'no bound', fix: 'ALTER SYSTEM …' })
const PASSING = new SalvorError('SOURCE_BROKE_OFF', { source: 'clinic', reason: 'ECONNRESET' })
const POSITIONS = { start_lsn: '0/1', received_lsn: '0/5', stored_lsn: '0/5', server_lsn: '0/5' }
const GOOD: WalProgress = {
  system_id: '1',
  timeline: 1,
  ...POSITIONS,
  current_at: null,
  spool_bytes: 0,
  full: false,
  trouble: null,
}

/** A clock that is set, a catalog that may be away, and what was published. */
function place(openIncidents: readonly string[] = []) {
  const told: string[] = []
  const seen = { now: 0, away: false, told }
  const tx = {
    publish: async ({ type }: { type: string }) => void told.push(type),
    recordWalStream: () => Promise.resolve(),
  }
  const catalog = {
    transaction(_cause: unknown, work: (given: typeof tx) => Promise<void>) {
      return seen.away ? Promise.reject(new SalvorError('CATALOG_UNREACHABLE', { reason: 'away' })) : work(tx)
    },
    openIncidents: () => Promise.resolve(openIncidents.map((key) => ({ key }))),
  }
  const log = { warn: () => undefined, debug: () => undefined }
  const deps = { catalog, log, clock: { monotonicMs: () => seen.now } } as unknown as Deps
  const health = new StreamHealth(deps, 'clinic')
  /** Some seconds pass in which the stream says how it does. */
  const passes = async (ms: number, progress: WalProgress = GOOD): Promise<void> => {
    seen.now += ms
    health.progress(progress)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { health, seen, passes }
}

test('what only a person can mend is told at once, and once', async () => {
  const { health, seen } = place()
  for (let n = 0; n < 3; n += 1) await health.failed(PERSON)
  expect(seen.told).toEqual(['wal-stream.failed'])
})

test('what may mend itself is told when it has lasted for two minutes', async () => {
  const { health, seen } = place()
  await health.failed(PASSING)
  seen.now += 119_000
  await health.failed(PASSING)
  expect(seen.told).toEqual([])
  seen.now += 2_000
  await health.failed(PASSING)
  await health.failed(PASSING)
  expect(seen.told).toEqual(['wal-stream.failed'])
})

test('a stream that works again is told once, and its next trouble is told anew', async () => {
  const { health, seen, passes } = place()
  await health.failed(PERSON)
  for (let n = 0; n < 3; n += 1) await passes(6_000)
  expect(seen.told).toEqual(['wal-stream.failed', 'wal-stream.recovered'])
  await health.failed(PERSON)
  expect(seen.told).toHaveLength(3)
})

test('a store that takes nothing is trouble too, while the stream itself goes on', async () => {
  const { seen, passes } = place()
  const trouble = new SalvorError('STORE_UNREACHABLE', { store: 's3', reason: 'ECONNREFUSED' })
  for (let n = 0; n < 30; n += 1) await passes(6_000, { ...GOOD, trouble })
  expect(seen.told).toEqual(['wal-stream.failed'])
})

test('what the worker before this one told is not told again, and its end is told', async () => {
  const { health, seen, passes } = place(['clinic/wal'])
  await health.failed(PERSON)
  expect(seen.told).toEqual([])
  await passes(6_000)
  expect(seen.told).toEqual(['wal-stream.recovered'])
})

test('a catalog that is away ends nothing, and it is told when the catalog is back', async () => {
  const { health, seen } = place()
  seen.away = true
  await health.failed(PERSON)
  expect(seen.told).toEqual([])
  seen.away = false
  await health.failed(PERSON)
  expect(seen.told).toEqual(['wal-stream.failed'])
})
