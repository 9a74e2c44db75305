import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { expect, onTestFinished, test } from 'vitest'
import { configJsonSchema } from './json-schema.ts'
import { loadConfig } from './load-config.ts'
import type { LoadedConfig } from './loaded-config.ts'

/** A folder with a configuration of one source `tenants`, and files. */
function place(files: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-files-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const add = (name: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), '')
  }
  files.forEach(add)
  const load = (lines: string, store = '{ kind: local, path: ./backups }'): Promise<LoadedConfig> => {
    const text = `stores: { first: ${store} }\nsources:\n  tenants:\n    engine: sqlite\n${lines}\n`
    writeFileSync(join(folder, 'salvor.yaml'), text)
    return loadConfig(join(folder, 'salvor.yaml'), {})
  }
  const problems = (lines: string, store?: string): Promise<string> =>
    load(lines, store).then(
      () => 'none',
      (error: unknown) => (error instanceof SalvorError ? error.message : String(error)),
    )
  return { folder, add, load, problems }
}

test('each file is a source of its own, with a name that no two files share, and the rules of the one that names them', async () => {
  const names = ['t/a.db', 't/a b.db', 't/a%20b.db', 't/line\nend.db', 't/ünï.db', 't/-x-.db', 't/A.db']
  const { load, folder } = place(names)
  const loaded = await load('    paths: [ "./t/*.db" ]\n    max_chain: 7\n    schedule: { full: "@daily" }')
  const { settings } = loaded
  const found = [...settings.sources.keys()]
  expect(found.toSorted()).toEqual(
    [
      'tenants/%2Dx-.db',
      'tenants/A.db',
      'tenants/a%20b.db',
      'tenants/a%2520b.db',
      'tenants/a.db',
      'tenants/line%0Aend.db',
      'tenants/%C3%BCn%C3%AF.db',
    ].toSorted(),
  )
  expect(settings.fleets?.get('tenants')).toEqual({ found: names.length, unread: null, left_out: [] })
  const sources = [...settings.sources.values()]
  for (const [name, source] of settings.sources) {
    expect(source).toMatchObject({ name, max_chain: 7, schedule: { full: '@daily' }, engine: 'sqlite' })
  }
  expect(new Set(sources.map((source) => source.config_hash)).size).toBe(names.length)
  const context = { source: 'x', scratch_dir: folder, now: () => '', progress: () => {}, server_programs: [] }
  const engine = await loaded.openEngine('tenants/line%0Aend.db', { ...context, log: {} as never })
  await expect(engine.probe(AbortSignal.abort())).rejects.toMatchObject({ code: 'INTERRUPTED' })
})

test('a database that names no schedule is followed, each minute; not one of many, nor where a schedule or no store takes it', async () => {
  const { load } = place(['a.db'])
  const followed = async (lines: string): Promise<number | undefined> => {
    const { settings } = await load(lines)
    return [...settings.sources.values()][0]!.changes
  }
  const [one, many] = ['    path: ./a.db', '    paths: [ "./*.db" ]']
  expect(await followed(one)).toBe(60_000)
  expect(await followed(`${one}\n    copies: { first: [full, changes] }`)).toBe(60_000)
  expect(await followed(many)).toBeUndefined()
  expect(await followed(`${one}\n    schedule: { full: "@daily" }`)).toBeUndefined()
  expect(await followed(`${one}\n    copies: { first: [full] }`)).toBeUndefined()
  expect(await followed(`${many}\n    schedule: { changes: stream }`)).toBe(1_000)
})

test('how long every instant of a database comes back may be said', async () => {
  const { load } = place(['a.db'])
  const { settings } = await load('    path: ./a.db\n    retention: { pitr: 30d }')
  expect(settings.sources.get('tenants')!.retention).toMatchObject({ pitr: '30d', full: '30d', monthly: '365d' })
})

test('a file that comes changes the configuration, and nothing about the sources that were there', async () => {
  const { load, add } = place(['t/a.db'])
  const before = await load('    paths: [ ./t ]')
  expect((await load('    paths: [ ./t ]')).hash).toBe(before.hash)
  add('t/b.db')
  const after = await load('    paths: [ ./t ]')
  expect(after.hash).not.toBe(before.hash)
  expect([...after.settings.sources.keys()]).toEqual(['tenants/a.db', 'tenants/b.db'])
  expect(after.settings.sources.get('tenants/a.db')).toEqual(before.settings.sources.get('tenants/a.db'))
})

test('a place that is gone stops no other source, and says why; no file yet is no mistake', async () => {
  const { load, folder } = place(['t/readme.txt', 'desk.db'])
  const gone = await load('    paths: [ ./nowhere ]\n  desk: { engine: sqlite, path: ./desk.db }')
  expect([...gone.settings.sources.keys()]).toEqual(['desk'])
  expect(gone.settings.fleets?.get('tenants')?.unread).toBe(`${folder}/nowhere cannot be looked at (ENOENT)`)
  const empty = await load('    paths: [ "./t/*.db" ]')
  expect(empty.settings.fleets?.get('tenants')).toEqual({ found: 0, unread: null, left_out: [] })
})

test('a name that is too long for a store is left out and told', async () => {
  const long = `${'ü'.repeat(100)}.db`
  const { load } = place([`t/${long}`, 't/a.db'])
  const { settings } = await load('    paths: [ ./t ]')
  expect([...settings.sources.keys()]).toEqual(['tenants/a.db'])
  expect(settings.fleets?.get('tenants')?.left_out).toEqual([
    { file: long, reason: 'its name is too long for a store' },
  ])
})

test('mistakes are told with their line', async () => {
  const { problems } = place(['t/a.db', 't/b.db'])
  expect(await problems('    path: ./t/a.db\n    paths: [ ./t ]')).toContain('both path and paths are given')
  expect(await problems('    paths: ./t')).toContain('sources.tenants.paths')
  expect(await problems('    paths: []')).toContain('sources.tenants.paths')
  expect(await problems('    paths: [ ./t ]\n    pathz: 1')).toContain('sources.tenants.pathz')
  expect(await problems('    paths: [ ./t ]\n    pool: far')).toContain('does not see those of a pool')
  const remote = '{ kind: s3, bucket: clinic-backups, region: eu-west-1, access_key_id: a, secret_access_key: s }'
  for (const folder of ['./t', './t/*.nothing']) {
    const told = await problems(`    paths: [ "${folder}" ]`, remote)
    expect(told).toContain('without encryption')
    expect(told.split('without encryption')).toHaveLength(2)
  }
})

test('an editor takes paths in the place of path', async () => {
  const schema = JSON.stringify(await configJsonSchema())
  expect(schema).toContain('"oneOf":[{"required":["path"]},{"required":["paths"]}]')
})
