import { link } from 'node:fs/promises'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { makeHome } from './salvor.ts'

const CONFIG = `
stores:
  local: { kind: local, path: ./backups }
sources:
  catalog: { engine: sqlite, path: ./salvor-data/catalog.db, verify: { full: none } }
  linked: { engine: sqlite, path: ./linked.db, verify: { full: none } }
`

test('the catalog of Salvor itself is backed up and comes back like any other source, also by a second name', async () => {
  await using home = await makeHome()
  await home.configure(CONFIG)
  // Makes the catalog.
  expect((await home.run('list')).code).toBe(0)
  const first = await home.run('backup', 'catalog')
  expect(first.code, first.stderr).toBe(0)
  await link(home.path('salvor-data/catalog.db'), home.path('linked.db'))
  const linked = await home.run('backup', 'linked')
  expect(linked.code, linked.stderr).toBe(0)
  expect(linked.stdout).toContain('has 2 names')
  const listed = await home.run('list', 'catalog', '--json')
  expect(listed.json<{ backups: unknown[] }>().backups).toHaveLength(1)
  const restored = await home.run('restore', 'catalog', '--to', home.path('back.db'))
  expect(restored.code, restored.stderr).toBe(0)
  for (const path of ['back.db', 'salvor-data/catalog.db']) {
    const database = new Database(home.path(path), { readonly: true })
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
    expect(database.prepare('SELECT count(*) FROM sources').pluck().get()).toBeGreaterThan(0)
    database.close()
  }
})
