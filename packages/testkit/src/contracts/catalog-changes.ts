import type { ChangeSetFile, StoredChangeSet } from '@salvor/shared/vocabulary/change-set'
import { shifted } from '@salvor/shared/vocabulary/instant'
import { expect, test } from 'vitest'
import { CLI } from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

const AT = '2025-11-27T20:39:30.294774Z'

/** The `n`-th set of a source. */
function set(n: number, source = 'clinic'): ChangeSetFile {
  return {
    source,
    base: '019ac6f5-77f6-7c31-8000-0123456789ab',
    name: `set-${n}`,
    method: n === 0 ? 'scan' : 'log',
    stands_on: n === 0 ? 'base' : 'previous',
    previous: n === 0 ? null : 'ab'.repeat(32),
    lost: n === 0 ? 'the log was reset \u{1f9ea}' : null,
    from_at: shifted(AT, n * 1000),
    to_at: shifted(AT, (n + 1) * 1000),
    page_size: 4096,
    page_count: 4_294_967_290,
    pages: 12,
    state_sha256: n === 0 ? 'cd'.repeat(32) : null,
    position: n === 0 ? null : 'wal 1 2 3',
    size_bytes: 1000,
    source_bytes: 49_200,
    document_sha256: 'ef'.repeat(32),
    stored_at: AT,
  }
}

async function all(found: AsyncIterable<StoredChangeSet>): Promise<StoredChangeSet[]> {
  const rows: StoredChangeSet[] = []
  for await (const row of found) rows.push(row)
  return rows
}

/** The change sets of SQLite sources, and how their streams do. */
export function changesContract(open: OpenCatalog): void {
  test('change sets come back as they were, by instant, from each store, more than one page of them too; the same again changes nothing', async () => {
    await using place = await open()
    const { catalog } = place
    for (const store of ['s3', 'local', 's3'])
      await catalog.transaction(CLI, async (tx) => {
        for (const n of [2, 0, 1]) await tx.recordChangeSet(set(n), store)
        await tx.recordChangeSet(set(9, 'desk'), store)
      })
    const rows = [0, 1, 2].map((n) => ({ ...set(n), store: 's3' }))
    expect(await all(catalog.changeSets({ source: 'clinic', store: 's3' }))).toEqual(rows)
    expect((await all(catalog.changeSets({ source: 'clinic' }))).map(({ store }) => store)).toEqual([
      'local',
      's3',
      'local',
      's3',
      'local',
      's3',
    ])
    expect(await all(catalog.changeSets({ source: 'clinic', name: 'set-1', store: 'local' }))).toHaveLength(1)
    expect(await catalog.lastChangeSet('clinic')).toMatchObject(set(2))
    expect(await catalog.lastChangeSet('nobody')).toBeNull()
    await catalog.transaction(CLI, async (tx) => {
      for (let n = 0; n < 2_100; n += 1) await tx.recordChangeSet(set(n, 'many'), 'local')
    })
    const names = (await all(catalog.changeSets({ source: 'many' }))).map(({ name }) => name)
    expect([names.length, new Set(names).size, names.at(-1)]).toEqual([2_100, 2_100, 'set-2099'])
  })

  test('what a change stream says replaces what it said before', async () => {
    await using place = await open()
    const { catalog } = place
    const said = {
      source: 'clinic',
      method: 'log',
      covered_until: AT,
      last_set: null,
      log_bytes: 4096,
      trouble: null,
    } as const
    await catalog.transaction(CLI, (tx) => tx.recordChangeStream({ ...said, trouble: 'no room' }))
    await catalog.transaction(CLI, (tx) => tx.recordChangeStream(said))
    const [state, ...more] = await catalog.changeStreams()
    expect(state).toEqual({ ...said, at: state!.at })
    expect(more).toEqual([])
  })
}
