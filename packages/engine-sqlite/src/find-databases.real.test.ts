import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { openBench, type Bench } from '@salvor/testkit/fakes/engine-context'
import { expect, test } from 'vitest'
import { findDatabases } from './find-databases.ts'

function make(bench: Bench, ...names: string[]): void {
  for (const name of names) {
    const path = bench.path(name)
    mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true })
    writeFileSync(path, '')
  }
}

async function names(...entries: string[]): Promise<string[]> {
  return (await findDatabases(entries)).files.map(({ relative }) => relative)
}

test('a glob gives each file below its fixed part, once, and none of the files beside a database', async () => {
  using bench = openBench()
  make(bench, 'tenants/b.db', 'tenants/a.db', 'tenants/a.db-wal', 'tenants/a.db-shm', 'tenants/c.db-journal')
  make(bench, 'tenants/.hidden.db', 'tenants/deep/d.db', 'tenants/notes.txt')
  expect(await names(bench.path('tenants/*'))).toEqual(['a.db', 'b.db', 'notes.txt'])
  expect(await names(bench.path('tenants/*.db'), bench.path('tenants/a*'))).toEqual(['a.db', 'b.db'])
  expect(await names(bench.path('tenants/**/*.db'))).toEqual(['a.db', 'b.db', 'deep/d.db'])
  const { files } = await findDatabases([bench.path('tenants/*.db')])
  expect(files[0]).toEqual({ relative: 'a.db', config: { path: bench.path('tenants/a.db') } })
})

test('a folder gives the databases in it at any depth; a file stands for itself', async () => {
  using bench = openBench()
  make(bench, 'data/one.db', 'data/x/two.sqlite', 'data/x/y/three.sqlite3', 'data/four.db3', 'data/image.png')
  expect(await names(bench.path('data'))).toEqual(['four.db3', 'one.db', 'x/two.sqlite', 'x/y/three.sqlite3'])
  expect(await names(bench.path('data/image.png'))).toEqual(['image.png'])
})

test('files of one name in two folders keep names of their own, that a third file does not change', async () => {
  using bench = openBench()
  make(bench, 'east/app.db', 'west/app.db')
  const entries = [bench.path('east/*.db'), bench.path('west/*.db')]
  expect(await names(...entries)).toEqual(['east/app.db', 'west/app.db'])
  rmSync(bench.path('west/app.db'))
  expect(await names(...entries)).toEqual(['east/app.db'])
})

test('names may hold anything: line ends, blanks, signs of globs and of URLs; bytes that are no text are told', async () => {
  using bench = openBench()
  const hostile = [
    'line\nend.db',
    'ünï 😀.db',
    '%41.db',
    'A.db',
    'a b.db',
    '-rf.db',
    '$(id).db',
    '[x]{y}.db',
    'q\'uo"te.db',
  ]
  make(bench, ...hostile.map((name) => `t/${name}`))
  const script = `import sys; open(sys.argv[1].encode() + b'/t/\\xff\\xfe.db', 'w')`
  execFileSync('python3', ['-c', script, bench.folder])
  const { files, left_out } = await findDatabases([bench.path('t/*.db')])
  expect(files.map(({ relative }) => relative)).toEqual(hostile.toSorted())
  expect(left_out).toEqual([{ file: expect.stringContaining('/t/'), reason: 'its name is not UTF-8' }])
})

test('a symbolic link is not followed: a file is backed up under one name', async () => {
  using bench = openBench()
  make(bench, 't/a.db', 'elsewhere/b.db')
  symlinkSync(bench.path('elsewhere/b.db'), bench.path('t/link.db'))
  symlinkSync(bench.path('elsewhere'), bench.path('t/folder'))
  expect(await names(bench.path('t/**/*.db'))).toEqual(['a.db'])
})

test('a place that is gone is an error, not an empty list', async () => {
  using bench = openBench()
  make(bench, 't/a.db')
  await expect(names(bench.path('nowhere/*.db'))).rejects.toThrow('nowhere cannot be looked at (ENOENT)')
  await expect(names(bench.path('t/*.db'), bench.path('nowhere.db'))).rejects.toThrow('(ENOENT)')
})

test('a place that is closed is an error, not an empty list', async (context) => {
  if (process.getuid?.() === 0) context.skip('root reads every folder')
  using bench = openBench()
  make(bench, 't/a.db')
  chmodSync(bench.path('t'), 0)
  await expect(names(bench.path('t/*.db'))).rejects.toThrow('(EACCES)')
})
