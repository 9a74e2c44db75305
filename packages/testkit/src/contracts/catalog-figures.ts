import { expect, test } from 'vitest'
import {
  completedEvent,
  enqueueCopy,
  livingHolder,
  runningCopy,
  sampleBackup,
  sampleCopy,
  sampleVerification,
  WORKER,
} from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

const day = (n: number) => `2025-11-0${n}T00:00:00.000000Z`

/** What metrics say of the whole catalog. */
export function figuresContract(open: OpenCatalog): void {
  test('an empty catalog counts nothing', async () => {
    await using place = await open()
    const { at, ...rest } = await place.catalog.figures()
    expect(at).toHaveLength(27)
    const none = { points: [], verified: [], last: [], copies: [], runs: [], undelivered: [] }
    expect(rest).toEqual({ ...none, open_incidents: 0 })
  })

  test('the newest good backup of each state, the last of each type, and copies by store are told', async () => {
    await using place = await open()
    const { catalog } = place
    const of = (n: number, more: object = {}) => sampleBackup({ timestamp: day(n), consistent_at: day(n), ...more })
    const [proven, fresh, child, lost] = [
      of(1, { size_bytes: 10 }),
      of(3, { size_bytes: 30, source_bytes: 300, duration_ms: 1500.5 }),
      of(2, { type: 'incremental', size_bytes: 2 }),
      of(4, { source: 'desk' }),
    ]
    await catalog.transaction(WORKER, async (tx) => {
      for (const backup of [proven, fresh, child, lost]) await tx.recordBackup(backup)
      for (const backup of [proven, fresh, child]) await tx.recordCopy(sampleCopy(backup))
      await tx.recordCopy(sampleCopy(fresh, { store: 's3', state: 'pending', stored_at: null }))
      await tx.recordCopy(sampleCopy(lost, { state: 'corrupt' }))
      const seen = { level: 'restore', started_at: day(5) } as const
      await tx.recordVerification(sampleVerification(proven, seen))
      await tx.recordVerification(sampleVerification(proven, { ...seen, started_at: day(6), ok: true }))
      await tx.recordVerification(sampleVerification(child, { level: 'decode', started_at: day(7) }))
      await tx.recordVerification(sampleVerification(lost, { ok: false, started_at: day(8) }))
    })
    const found = await catalog.figures()
    expect(found.points).toEqual([
      { source: 'clinic', completed: day(3), verified: day(2), proven: day(1) },
      { source: 'desk', completed: null, verified: null, proven: null },
    ])
    expect(found.verified).toEqual([
      { source: 'clinic', level: 'decode', at: day(7) },
      { source: 'clinic', level: 'restore', at: day(6) },
    ])
    expect(found.last.slice(0, 2)).toMatchObject([
      { source: 'clinic', type: 'full', size_bytes: 30, source_bytes: 300, duration_ms: 1500.5 },
      { source: 'clinic', type: 'incremental', size_bytes: 2 },
    ])
    expect(found.copies).toEqual([
      { store: 'local', state: 'completed', count: 1, bytes: 30 },
      { store: 'local', state: 'corrupt', count: 1, bytes: lost.size_bytes },
      { store: 'local', state: 'proven', count: 1, bytes: 10 },
      { store: 'local', state: 'verified', count: 1, bytes: 2 },
      { store: 's3', state: 'pending', count: 1, bytes: 30 },
    ])
  })

  test('runs at work, events that wait with their age, and open incidents are counted', async () => {
    await using place = await open()
    const { catalog } = place
    await enqueueCopy(catalog)
    await runningCopy(catalog, livingHolder())
    const done = await runningCopy(catalog, livingHolder())
    const [first] = await catalog.transaction(WORKER, async (tx) => {
      await tx.endRun(done.id, 1, { kind: 'succeeded' })
      await tx.openIncident('a', 'clinic', 'broken')
      return [await tx.publish(completedEvent()), await tx.publish(completedEvent())]
    })
    await catalog.transaction({ service: 'verifier' }, async (tx) => {
      await tx.acknowledge(first.id, 'verifier')
    })
    const found = await catalog.figures()
    expect(found.runs).toEqual([
      { job: 'replicate-copy', state: 'queued', count: 1 },
      { job: 'replicate-copy', state: 'running', count: 1 },
    ])
    expect(found.undelivered.map(({ service, count }) => [service, count])).toEqual([
      ['notifier', 2],
      ['replicator', 2],
      ['verifier', 1],
    ])
    expect(found.undelivered[0]!.oldest <= found.at).toBe(true)
    expect(found.open_incidents).toBe(1)
  })
}
