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
    brings_state_of: n === 2 ? '01'.repeat(32) : null,
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
    const rows = [0, 1, 2].map((n) => ({ ...set(n), store: 's3', leaving_at: null }))
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

  test('sets that leave a store are given to nobody who does not ask for them, and are forgotten there alone', async () => {
    await using place = await open()
    const { catalog } = place
    await catalog.transaction(CLI, async (tx) => {
      for (const n of [0, 1, 2, 3]) for (const store of ['s3', 'local']) await tx.recordChangeSet(set(n), store)
    })
    const { base } = set(0)
    const names = (store: string, ...numbers: number[]) => {
      return { source: 'clinic', store, names: numbers.map((n) => ({ base, name: `set-${n}` })) }
    }
    const seen = async (filter: Partial<Parameters<typeof catalog.changeSets>[0]>): Promise<string> =>
      (await all(catalog.changeSets({ source: 'clinic', store: 's3', ...filter }))).map(({ name }) => name).join(' ')
    await catalog.transaction(CLI, (tx) => tx.leaveChangeSets(names('s3', 1, 2, 3), true))
    await catalog.transaction(CLI, (tx) => tx.leaveChangeSets(names('s3', 2), false))
    expect(await seen({})).toBe('set-0 set-2')
    expect(await seen({ store: 'local' })).toBe('set-0 set-1 set-2 set-3')
    expect(await seen({ leaving: true })).toBe('set-1 set-3')
    expect(await seen({ since: set(1).to_at })).toBe('set-2')
    expect(await seen({ until: set(2).to_at })).toBe('set-0')
    const [first] = await all(catalog.changeSets({ source: 'clinic', store: 's3', leaving: true }))
    expect(first!.leaving_at! <= (await catalog.now())).toBe(true)
    await catalog.transaction(CLI, (tx) => tx.leaveChangeSets(names('local', 3), true))
    expect((await catalog.lastChangeSet('clinic'))?.name).toBe('set-2')
    await catalog.transaction(CLI, (tx) => tx.forgetChangeSets(names('s3', 1, 2)))
    expect([await seen({}), await seen({ leaving: true })]).toEqual(['set-0', 'set-3'])
    expect(await seen({ store: 'local' })).toBe('set-0 set-1 set-2')
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
