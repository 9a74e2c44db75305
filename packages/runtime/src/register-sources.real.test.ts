import type { FleetSettings, SourceSettings } from '@salvor/shared/ports/service'
import { expect, test } from 'vitest'
import { registerSources } from './register-sources.ts'
import { CLINIC, openWorld, type World } from './world.fixture.ts'

const DAILY: SourceSettings = { ...CLINIC, schedule: { full: '0 2 * * *' } }

/** The configuration as it is when these files lie in the folder of `tenants`. */
function found(world: World, files: readonly string[], unread: string | null = null): void {
  const names = ['clinic', ...files.map((file) => `tenants/${file}`)]
  const fleet: FleetSettings = { found: files.length, unread, left_out: [] }
  const sources = new Map(names.map((name) => [name, { ...DAILY, name, config_hash: name }]))
  world.settings = { ...world.settings, sources, fleets: new Map([['tenants', fleet]]) }
}

async function told(world: World): Promise<string[]> {
  const events = await Promise.all(
    (await world.catalog.unsentEvents('any', 100)).map(({ id }) => world.catalog.event(id)),
  )
  await world.catalog.markEventsSent(events.map((event) => event!.id))
  return events.map((event) => `${event!.type} ${event!.subject}`).toSorted()
}
const states = async (world: World) =>
  Object.fromEntries((await world.catalog.sources()).map(({ name, state }) => [name, state]))
const scheduled = async (world: World) => (await world.catalog.schedules()).map(({ source }) => source).toSorted()

test('a new file is registered and scheduled; one that is gone is retired and told; it comes back as new', async () => {
  await using world = await openWorld()
  found(world, ['a.db', 'b.db'])
  await registerSources(world.deps, 'scheduler')
  expect(await told(world)).toEqual([
    'source.registered clinic',
    'source.registered tenants/a.db',
    'source.registered tenants/b.db',
  ])
  found(world, ['a.db', 'c.db'])
  await registerSources(world.deps, 'scheduler')
  expect(await told(world)).toEqual(['source.registered tenants/c.db', 'source.vanished tenants/b.db'])
  expect(await states(world)).toMatchObject({ 'tenants/b.db': 'retired', 'tenants/c.db': 'active' })
  expect(await scheduled(world)).toEqual(['clinic', 'tenants/a.db', 'tenants/c.db'])
  await registerSources(world.deps, 'scheduler')
  expect(await told(world)).toEqual([])
  found(world, ['a.db', 'b.db', 'c.db'])
  await registerSources(world.deps, 'scheduler')
  expect(await told(world)).toEqual(['source.registered tenants/b.db'])
})

test.each([
  ['a place that cannot be looked at', '/srv/tenants cannot be looked at (EACCES)'],
  ['a folder that is suddenly empty, like a disk that is not mounted', null],
])('%s retires nothing: its files stay due, so that their backups fail loudly', async (_what, unread) => {
  await using world = await openWorld()
  found(world, ['a.db', 'b.db'])
  await registerSources(world.deps, 'scheduler')
  await told(world)
  found(world, [], unread)
  await registerSources(world.deps, 'scheduler')
  expect(await told(world)).toEqual([])
  expect(await states(world)).toMatchObject({ 'tenants/a.db': 'active', 'tenants/b.db': 'active' })
  expect(await scheduled(world)).toEqual(['clinic', 'tenants/a.db', 'tenants/b.db'])
})

test('a command, which may see less of a folder, retires no file; a source that left the configuration is retired without a word', async () => {
  await using world = await openWorld()
  found(world, ['a.db', 'b.db'])
  await registerSources(world.deps, 'cli')
  await told(world)
  found(world, ['a.db'])
  await registerSources(world.deps, 'cli')
  expect(await states(world)).toMatchObject({ 'tenants/b.db': 'active' })
  world.settings = { ...world.settings, fleets: new Map() }
  await registerSources(world.deps, 'cli')
  expect(await states(world)).toMatchObject({ 'tenants/b.db': 'retired' })
  expect(await told(world)).toEqual([])
})
