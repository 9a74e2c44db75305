import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCatalog } from '@salvor/catalog/open-catalog'
import { expect, onTestFinished, test } from 'vitest'
import { openRuntime } from './open-runtime.ts'
import { memoryLog, type LogLine } from './world.fixture.ts'

async function openTenants(...files: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-look-'))
  mkdirSync(join(folder, 't'))
  const path = (name: string): string => join(folder, name)
  const add = (name: string): void => writeFileSync(path(`t/${name}`), '')
  files.forEach(add)
  const configure = (max_chain: number): void =>
    writeFileSync(
      path('salvor.yaml'),
      `stores: { local: { kind: local, path: ./backups } }
sources: { tenants: { engine: sqlite, paths: [ "./t/*.db" ], max_chain: ${max_chain} } }
`,
    )
  configure(5)
  const lines: LogLine[] = []
  const runtime = await openRuntime({
    config_file: path('salvor.yaml'),
    env: process.env,
    openCatalog,
    log: memoryLog(lines),
  })
  onTestFinished(async () => {
    await runtime[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })
  const names = () => [...runtime.deps.settings().sources.keys()]
  return { runtime, path, add, configure, names, lines }
}

test('a look takes up files that came and lets go of those that went, and nothing else that was written meanwhile', async () => {
  const { runtime, path, add, configure, names } = await openTenants('a.db', 'b.db')
  expect(await runtime.lookForFiles()).toBe(false)
  add('c.db')
  rmSync(path('t/b.db'))
  configure(9)
  expect(await runtime.lookForFiles()).toBe(true)
  expect(names()).toEqual(['tenants/a.db', 'tenants/c.db'])
  expect(runtime.deps.settings().sources.get('tenants/c.db')?.max_chain).toBe(5)
  expect(runtime.deps.engine('tenants/c.db')).toBeDefined()
  expect(await runtime.reload()).toBe(true)
  expect(runtime.deps.settings().sources.get('tenants/c.db')?.max_chain).toBe(9)
})

test.each([
  ['a folder that is gone', (folder: string) => rmSync(folder, { recursive: true }), 'ENOENT'],
  [
    'a folder that is empty all at once',
    (folder: string) => ['a.db', 'b.db'].forEach((name) => rmSync(join(folder, name))),
    'not one file is left',
  ],
])('%s takes no source away, and is said', async (_what, spoil, reason) => {
  const { runtime, path, names, lines } = await openTenants('a.db', 'b.db')
  spoil(path('t'))
  expect(await runtime.lookForFiles()).toBe(false)
  expect(names()).toEqual(['tenants/a.db', 'tenants/b.db'])
  const [said] = lines.filter(({ level }) => level === 'error')
  expect(String(said?.facts['reason'])).toContain(reason)
  mkdirSync(path('t'), { recursive: true })
  for (const name of ['a.db', 'b.db', 'c.db']) writeFileSync(path(`t/${name}`), '')
  expect(await runtime.lookForFiles()).toBe(true)
  expect(names()).toHaveLength(3)
})
