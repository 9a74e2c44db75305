import { lsnText } from '@salvor/shared/vocabulary/lsn'
import { segmentAt, tailName, type StoredWal, type WalFile } from '@salvor/shared/vocabulary/wal'
import { expect, test } from 'vitest'
import { CLI } from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

const MB = 1n << 20n
const AT = '2025-11-27T20:39:30.294774Z'

/** Segment `n` of a timeline, of 1 MiB. */
function segment(timeline: number, n: bigint, source = 'clinic'): WalFile {
  return {
    source,
    name: segmentAt(timeline, n * MB, Number(MB)),
    kind: 'segment',
    system_id: '7300000000000000001',
    timeline,
    segment_size: Number(MB),
    start_lsn: lsnText(n * MB),
    end_lsn: lsnText((n + 1n) * MB),
    current_at: null,
    first_commit_at: AT,
    last_commit_at: AT,
    last_commit_lsn: lsnText(n * MB + 8n),
    restore_points: [{ name: 'before \u{1f9ea}', lsn: lsnText(n * MB + 16n), at: AT }],
    size_bytes: 1000,
    source_bytes: Number(MB),
    document_sha256: 'ab'.repeat(32),
    stored_at: AT,
  }
}

async function all(found: AsyncIterable<StoredWal>): Promise<StoredWal[]> {
  const rows: StoredWal[] = []
  for await (const row of found) rows.push(row)
  return rows
}

/** The continuous WAL: pieces by position, where they end, what is lost, how streams do. */
export function walContract(open: OpenCatalog): void {
  test('pieces of WAL come back as they were, by timeline and position, and the same again changes nothing', async () => {
    await using place = await open()
    const { catalog } = place
    const pieces = [segment(2, 0xffn), segment(1, 4096n), segment(1, 3n), segment(1, 1n, 'desk')]
    const history = {
      ...segment(2, 0n),
      name: '00000002.history',
      kind: 'history',
      start_lsn: null,
      end_lsn: null,
    } as const
    for (const store of ['s3', 'local', 's3'])
      await catalog.transaction(CLI, async (tx) => {
        for (const piece of [...pieces, history]) await tx.recordWal(piece, store)
      })
    const found = await all(catalog.wal({ source: 'clinic', store: 's3' }))
    const rows = [pieces[2], pieces[1], history, pieces[0]].map((piece) => ({ ...piece, store: 's3' }))
    expect(found).toEqual(rows)
    expect(await all(catalog.wal({ source: 'clinic', kinds: ['segment'] }))).toHaveLength(6)
    expect(await all(catalog.wal({ source: 'clinic', name: history.name, store: 'local' }))).toHaveLength(1)
    expect(await all(catalog.wal({ source: 'clinic', system_id: '1' }))).toEqual([])
    await catalog.transaction(CLI, (tx) => tx.forgetWal('clinic', 's3', [pieces[1]!.name, 'none']))
    expect(await all(catalog.wal({ source: 'clinic', store: 's3' }))).toHaveLength(3)
    expect(await all(catalog.wal({ source: 'clinic', store: 'local' }))).toHaveLength(4)
  })

  test('more pieces than one page come back once each and in order', async () => {
    await using place = await open()
    const { catalog } = place
    const count = 4500
    for (let from = 0; from < count; from += 500)
      await catalog.transaction(CLI, async (tx) => {
        for (let n = from; n < from + 500; n++) await tx.recordWal(segment(1, BigInt(n)), 'local')
      })
    const found = await all(catalog.wal({ source: 'clinic' }))
    expect(found.map(({ start_lsn }) => start_lsn)).toEqual(
      Array.from({ length: count }, (_, n) => lsnText(BigInt(n) * MB)),
    )
  })

  test('the stored WAL ends where the newest piece of the newest timeline does', async () => {
    await using place = await open()
    const { catalog } = place
    expect(await catalog.walEnd('clinic')).toBeNull()
    const end = 5n * MB + 4096n
    const name = tailName(segmentAt(2, 5n * MB, Number(MB)), end)
    const tail = { ...segment(2, 5n), kind: 'tail', name, end_lsn: lsnText(end) } as const
    await catalog.transaction(CLI, async (tx) => {
      for (const piece of [segment(1, 300n), segment(2, 4n), tail]) await tx.recordWal(piece, 'local')
    })
    const system_id = '7300000000000000001'
    expect(await catalog.walEnd('clinic')).toEqual({ system_id, timeline: 2, lsn: lsnText(end) })
    expect(await catalog.walEnd('desk')).toBeNull()
  })

  test('behind a hole that nobody recorded as a gap, stored WAL does not count as the end', async () => {
    await using place = await open()
    const { catalog } = place
    const system_id = '7300000000000000001'
    const at = async () => (await catalog.walEnd('clinic'))?.lsn
    const record = (...numbers: bigint[]) =>
      catalog.transaction(CLI, async (tx) => {
        for (const n of numbers) for (const store of ['local', 's3']) await tx.recordWal(segment(1, n), store)
      })
    await record(1n, 2n, 4n, 5n)
    expect(await at()).toBe(lsnText(3n * MB))
    const ends = { from_lsn: lsnText(3n * MB), to_timeline: 1, to_lsn: lsnText(4n * MB) }
    await catalog.transaction(CLI, (tx) =>
      tx.recordWalGap({ source: 'clinic', system_id, timeline: 1, ...ends, reason: 'lost' }),
    )
    expect(await at()).toBe(lsnText(6n * MB))
    // The slot was lost once more before anything behind the second gap was stored.
    const more = { ...ends, from_lsn: lsnText(6n * MB), to_lsn: lsnText(20n * MB) }
    await catalog.transaction(CLI, (tx) =>
      tx.recordWalGap({ source: 'clinic', system_id, timeline: 1, ...more, reason: 'lost' }),
    )
    expect(await at()).toBe(lsnText(20n * MB))
    await record(21n)
    expect(await at()).toBe(lsnText(20n * MB))
    await record(20n)
    expect(await at()).toBe(lsnText(22n * MB))
  })

  test('a segment that comes late fills its hole', async () => {
    await using place = await open()
    const { catalog } = place
    const at = async () => (await catalog.walEnd('clinic'))?.lsn
    const record = (...numbers: bigint[]) =>
      catalog.transaction(CLI, async (tx) => {
        for (const n of numbers) await tx.recordWal(segment(1, n), 'local')
      })
    await record(4n, 5n, 7n, 8n)
    expect(await at()).toBe(lsnText(6n * MB))
    await record(6n)
    expect(await at()).toBe(lsnText(9n * MB))
  })

  test('a gap is kept once, with both ends and why, and may grow; a stream says how it does', async () => {
    await using place = await open()
    const { catalog } = place
    const ends = { from_lsn: '0/3000000', to_timeline: 1, to_lsn: '16/B3000000' }
    const gap = { source: 'clinic', system_id: '73', timeline: 1, ...ends, reason: 'the slot\0 was lost' }
    for (const to_lsn of ['16/B2000000', gap.to_lsn])
      await catalog.transaction(CLI, (tx) => tx.recordWalGap({ ...gap, to_lsn }))
    const [found, ...more] = await catalog.walGaps('clinic')
    expect(found).toMatchObject({ ...gap, reason: 'the slot\u{fffd} was lost' })
    expect(more).toEqual([])
    const positions = { received_lsn: '0/5', stored_lsn: '0/4', server_lsn: '0/6' }
    const state = { source: 'clinic', system_id: '73', timeline: 1, ...positions, covered_until: AT, spool_bytes: 7 }
    for (const trouble of ['s3 is away', null])
      await catalog.transaction(CLI, (tx) => tx.recordWalStream({ ...state, trouble }))
    expect(await catalog.walStreams()).toMatchObject([{ ...state, trouble: null }])
  })
}
