import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { createSigningKey } from '@salvor/repository/create-keys'
import { openKeyring } from '@salvor/repository/keyring'
import { readWal } from '@salvor/repository/read-wal'
import { systemIds } from '@salvor/runtime/clock'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { WalProgress } from '@salvor/shared/ports/wal'
import { lsnText } from '@salvor/shared/vocabulary/lsn'
import { segmentAt, tailName, type WalPiece } from '@salvor/shared/vocabulary/wal'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test } from 'vitest'
import { StoreSink } from './store-sink.ts'
import type { StreamHealth } from './stream-health.ts'

const MB = 1 << 20
const NOW = '2025-11-27T20:39:30.294774Z'
const never = new AbortController().signal
const keyring = openKeyring(createSigningKey(NOW), 'keys', false)
const SEGMENT = segmentAt(1, BigInt(MB), MB)
const DATA = Buffer.from(Array.from({ length: MB }, (_, n) => n % 251))

function pieceOf(from: number, to: number): WalPiece {
  return {
    kind: to - from === MB ? 'segment' : 'tail',
    name: to - from === MB ? SEGMENT : tailName(SEGMENT, BigInt(MB + to)),
    system_id: '7',
    timeline: 1,
    segment_size: MB,
    start_lsn: lsnText(BigInt(MB + from)),
    end_lsn: lsnText(BigInt(MB + to)),
    first_commit_at: null,
    last_commit_at: null,
    last_commit_lsn: null,
    current_at: null,
    restore_points: [],
  }
}

/** A worker's sink on a real catalog and a store in memory; `passes` lets time go by. */
async function place(before: (operation: string) => void = () => undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-sink-'))
  const catalog = await openCatalog({ url: null, data_dir: folder, ids: systemIds, holderAlive: () => true })
  const store = new MemoryStore({ name: 'local', before })
  let now = 0
  const log = { debug: () => undefined }
  const clock = { now: () => NOW, monotonicMs: () => now }
  const deps = { catalog, store: () => store, keyring, clock, ids: systemIds, log } as unknown as Deps
  const health = { stored: () => undefined, progress: () => undefined } as unknown as StreamHealth
  const source = { name: 'clinic', encrypt: false } as SourceSettings
  const sinkOf = (): StoreSink => new StoreSink(deps, source, 'local', health, never)
  const put = (sink: StoreSink, from: number, to: number): Promise<void> =>
    sink.store(pieceOf(from, to), () => [DATA.subarray(from, to)], never)
  const passes = async (sink: StoreSink, ms: number): Promise<void> => {
    now += ms
    for (let n = 0; n < 5; n++) {
      sink.progress({} as WalProgress)
      await sink.ended()
    }
  }
  const names = async (): Promise<string[]> => {
    const found: string[] = []
    for await (const { name, start_lsn, end_lsn } of catalog.wal({ source: 'clinic' })) {
      const chunks: Uint8Array[] = []
      for await (const chunk of readWal({ store, keyring, source: 'clinic', name }, never))
        chunks.push(Buffer.from(chunk))
      const [from, to] = [start_lsn, end_lsn].map((lsn) => Number.parseInt(lsn!.slice(2), 16) - MB)
      expect(Buffer.concat(chunks).equals(DATA.subarray(from, to))).toBe(true)
      found.push(`${from}-${to}`)
    }
    return found.toSorted()
  }
  const end = async (): Promise<void> => {
    await catalog.close()
    rmSync(folder, { recursive: true })
  }
  return { store, sinkOf, put, passes, names, [Symbol.asyncDispose]: end }
}

test('tails that a longer piece covers are deleted after a while, by whichever worker is there then, and no byte with them', async () => {
  await using at = await place()
  const first = at.sinkOf()
  for (const [from, to] of [
    [0, 40],
    [40, 80],
    [0, 120],
    [120, 160],
  ] as const)
    await at.put(first, from, to)
  await at.passes(first, 60_000)
  expect(await at.names()).toEqual(['0-120', '0-40', '120-160', '40-80'])
  await at.passes(first, 70_000)
  expect(await at.names()).toEqual(['0-120', '120-160'])
  expect(at.store.keys()).toHaveLength(4)
  await at.put(first, 0, MB)
  // Killed before its time: the next one finds what is left.
  const second = at.sinkOf()
  await second.forgetOldTails()
  await at.passes(second, 130_000)
  expect(await at.names()).toEqual([`0-${MB}`])
  expect(at.store.keys()).toHaveLength(2)
})

test('a store that lets nobody delete keeps its tails, and the stream goes on', async () => {
  await using at = await place((operation) => {
    if (operation === 'delete') throw new Error('locked')
  })
  const sink = at.sinkOf()
  await at.put(sink, 0, 40)
  await at.put(sink, 0, 80)
  await at.passes(sink, 130_000)
  await at.put(sink, 80, 120)
  expect(await at.names()).toEqual(['0-80', '80-120'])
  expect(at.store.keys()).toHaveLength(6)
})
