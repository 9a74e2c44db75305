import { shifted } from '@salvor/shared/vocabulary/instant'
import type { Catalog } from '@salvor/shared/ports/catalog'
import { expect, test } from 'vitest'
import { CLI } from './catalog-samples.ts'
import type { OpenCatalog } from './catalog-samples.ts'

const CLINIC = { name: 'clinic', engine: 'sqlite', pool: null, config_hash: 'one' }
const NIGHTLY = { kind: 'incremental', cron: '0 23 * * *', timezone: 'UTC' } as const
const WEEKLY = { kind: 'full', cron: '0 2 * * 0', timezone: 'UTC' } as const
const PAST = '2020-01-01T00:00:00.000000Z'

const register = (catalog: Catalog, source: typeof CLINIC) =>
  catalog.transaction(CLI, (tx) => tx.registerSource(source))

/** Sources and what is planned for them. */
export function sourceContract(open: OpenCatalog): void {
  test('a source is new once, changed when its configuration differs, else the same', async () => {
    await using place = await open()
    const { catalog } = place
    expect(await register(catalog, CLINIC)).toBe('new')
    expect(await register(catalog, CLINIC)).toBe('same')
    expect(await register(catalog, { ...CLINIC, config_hash: 'two' })).toBe('changed')
    const [row] = await catalog.sources()
    expect(row).toEqual({ ...CLINIC, config_hash: 'two', state: 'active', registered_at: expect.any(String) })
  })

  test('a source that left the configuration is kept as retired without schedules, and is new when it comes back', async () => {
    await using place = await open()
    const { catalog } = place
    await register(catalog, CLINIC)
    await register(catalog, { ...CLINIC, name: 'desk' })
    await catalog.transaction(CLI, (tx) => tx.setSchedules('desk', [{ ...NIGHTLY, due_at: PAST }]))
    const retire = (names: readonly string[]) => catalog.transaction(CLI, (tx) => tx.retireSourcesExcept(names))
    expect(await retire(['clinic'])).toEqual(['desk'])
    expect(await retire(['clinic'])).toEqual([])
    expect((await catalog.sources()).map(({ name, state }) => [name, state])).toEqual([
      ['clinic', 'active'],
      ['desk', 'retired'],
    ])
    expect(await catalog.schedules()).toEqual([])
    expect(await register(catalog, { ...CLINIC, name: 'desk' })).toBe('new')
    expect(await retire([])).toEqual(['clinic', 'desk'])
  })

  test('of processes that register a new source together, one is told that it is new', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    const told = await Promise.all([0, 1, 2, 3, 4, 5].map((index) => register(handles[index % 2]!, CLINIC)))
    expect(told.filter((change) => change === 'new')).toHaveLength(1)
    expect(told.filter((change) => change === 'same')).toHaveLength(5)
  })

  test('a schedule keeps its next tick while cron and timezone stay, and disappears with its kind', async () => {
    await using place = await open()
    const { catalog } = place
    await register(catalog, CLINIC)
    const set = (...schedules: Parameters<typeof setAll>[1]) => setAll(catalog, schedules)
    await set(
      { ...NIGHTLY, due_at: '2030-01-01T23:00:00.000000Z' },
      { ...WEEKLY, due_at: '2030-01-06T02:00:00.000000Z' },
    )
    await set({ ...NIGHTLY, due_at: '2031-01-01T23:00:00.000000Z' }, { ...WEEKLY, cron: '0 4 * * 0', due_at: PAST })
    const due = async () =>
      (await catalog.schedules()).map(({ source, kind, cron, due_at }) => [source, kind, cron, due_at])
    expect((await due()).sort(byText)).toEqual([
      ['clinic', 'full', '0 4 * * 0', PAST],
      ['clinic', 'incremental', '0 23 * * *', '2030-01-01T23:00:00.000000Z'],
    ])
    await set({ ...NIGHTLY, timezone: 'Europe/Berlin', due_at: '2032-01-01T22:00:00.000000Z' })
    expect(await due()).toEqual([['clinic', 'incremental', '0 23 * * *', '2032-01-01T22:00:00.000000Z']])
    await set()
    expect(await due()).toEqual([])
  })

  test('schedules are due by the clock of the catalog, the longest overdue first', async () => {
    await using place = await open()
    const { catalog } = place
    const now = await catalog.now()
    for (const [name, ms] of [
      ['late', -1000],
      ['later', -2000],
      ['future', 60_000],
    ] as const) {
      await register(catalog, { ...CLINIC, name })
      await setAll(catalog, [{ ...NIGHTLY, due_at: shifted(now, ms) }], name)
    }
    const names = async (limit: number) => (await catalog.dueSchedules(limit)).map((row) => row.source)
    expect(await names(10)).toEqual(['later', 'late'])
    expect(await names(1)).toEqual(['later'])
    expect(await catalog.schedules()).toHaveLength(3)
  })

  test('of two processes that fire one tick, one moves the schedule on', async () => {
    await using place = await open()
    const handles = [place.catalog, await place.again()]
    await register(place.catalog, CLINIC)
    await setAll(place.catalog, [{ ...NIGHTLY, due_at: PAST }])
    const [{ id } = { id: '' }] = await place.catalog.dueSchedules(1)
    const to = '2030-01-01T23:00:00.000000Z'
    const won = await Promise.all(
      handles.map((handle) => handle.transaction(CLI, (tx) => tx.advanceSchedule(id, PAST, to))),
    )
    expect(won.sort(byText)).toEqual([false, true])
    expect((await place.catalog.schedules())[0]?.due_at).toBe(to)
  })
}

function setAll(
  catalog: Catalog,
  schedules: Parameters<Parameters<Parameters<Catalog['transaction']>[1]>[0]['setSchedules']>[1],
  source = 'clinic',
): Promise<void> {
  return catalog.transaction(CLI, (tx) => tx.setSchedules(source, schedules))
}

function byText(a: unknown, b: unknown): number {
  return String(a) < String(b) ? -1 : 1
}
