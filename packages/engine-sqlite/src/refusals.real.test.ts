import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { openBench } from '@salvor/testkit/fakes/engine-context'
import { openFileSink } from '@salvor/testkit/fakes/file-sink'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { assertInvariant, createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { describe, expect, test } from 'vitest'
import { openEngine } from './index.ts'

const never = new AbortController().signal
const root = process.getuid?.() === 0

const PROBE = `
  const [path, scratch] = process.argv.slice(1)
  const { adapter } = await import('@salvor/engine-sqlite')
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
  const context = { source: 'clinic', scratch_dir: scratch, log, now: () => '', progress() {}, server_programs: [] }
  await adapter.open({ path }, context).probe(new AbortController().signal).then(
    () => console.log('{"code":"accepted"}'),
    (error) => console.log(JSON.stringify({ code: error.code, message: error.message })),
  )
`

/** Root may read everything, so it lends the look to an unprivileged user. */
function probeAsSomebodyElse(path: string, scratch: string): unknown {
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const as = root ? { uid: 65534, gid: 65534 } : {}
  const args = ['--conditions=source', '--input-type=module', '-e', PROBE, path, scratch]
  return JSON.parse(execFileSync(process.execPath, args, { cwd, encoding: 'utf8', ...as }))
}

/** What both the look and the backup say of a path. */
async function refusals(path: string): Promise<unknown[]> {
  using bench = openBench()
  const engine = openEngine({ path }, bench.context())
  await using sink = openFileSink(null)
  const failures = await Promise.allSettled([engine.probe(never), engine.snapshot(sink, never)])
  expect(sink.size).toBe(0)
  return failures.map((failure) => (failure.status === 'rejected' ? failure.reason : 'accepted'))
}

const twice = (code: string, text: RegExp): unknown[] => {
  const refusal = expect.objectContaining({ code, message: expect.stringMatching(text) as string }) as unknown
  return [refusal, refusal]
}

describe('a source that cannot be backed up is named with what to do', () => {
  test('a file that is not there', async () => {
    using bench = openBench()
    expect(await refusals(bench.path('none.db'))).toEqual(twice('SOURCE_MISSING', /none\.db does not exist/))
    writeFileSync(bench.path('file'), '')
    expect(await refusals(bench.path('file/none.db'))).toEqual(twice('SOURCE_MISSING', /does not exist/))
  })

  test('a folder', async () => {
    using bench = openBench()
    mkdirSync(bench.path('app.db'))
    expect(await refusals(bench.path('app.db'))).toEqual(twice('SOURCE_UNREADABLE', /it is a folder/))
  })

  test('a text, and bytes that look encrypted', async () => {
    using bench = openBench()
    writeFileSync(bench.path('notes.txt'), 'hello\n'.repeat(1000))
    expect(await refusals(bench.path('notes.txt'))).toEqual(twice('SOURCE_NOT_A_DATABASE', /encrypted/))
    writeFileSync(bench.path('secret.db'), randomBytes(8192))
    expect(await refusals(bench.path('secret.db'))).toEqual(twice('SOURCE_NOT_A_DATABASE', /encrypted/))
  })

  for (const journal of ['wal', 'delete'] as const) {
    test(`a database that was cut off (${journal})`, async () => {
      using bench = openBench()
      const path = bench.path('clinic.db')
      createClinic(path, { rows: 100, journal })
      truncateSync(path, 4096 * 20)
      expect(await refusals(path)).toEqual(twice('SOURCE_DAMAGED', /damaged/))
      truncateSync(path, 4096 * 20 - 1000)
      expect(await refusals(path)).toEqual(twice('SOURCE_DAMAGED', /damaged/))
    })
  }

  test.skipIf(!root)('a WAL database on a disk mounted read-only (needs root for the mount)', async () => {
    using bench = openBench()
    mkdirSync(bench.path('disk'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', bench.path('disk')])
    try {
      createClinic(bench.path('disk/clinic.db'), { rows: 10 })
      createClinic(bench.path('disk/old.db'), { rows: 10, journal: 'delete' })
      execFileSync('mount', ['-o', 'remount,ro', bench.path('disk')])
      expect(await refusals(bench.path('disk/clinic.db'))).toEqual(twice('SOURCE_UNREADABLE', /read-only/))
      expect(await refusals(bench.path('disk/missing.db'))).toHaveLength(2)
      await using sink = openFileSink(bench.path('copy.db'))
      await openEngine({ path: bench.path('disk/old.db') }, bench.context()).snapshot(sink, never)
      assertInvariant(bench.path('copy.db'))
    } finally {
      execFileSync('umount', [bench.path('disk')])
    }
  })

  test('a file that the user of Salvor may not read or not write', async () => {
    using bench = openBench()
    const path = bench.path('clinic.db')
    createClinic(path, { rows: 10 })
    chmodSync(bench.folder, 0o755)
    for (const mode of [0, 0o444]) {
      chmodSync(path, mode)
      const said = probeAsSomebodyElse(path, bench.folder)
      expect(said).toMatchObject({ code: 'SOURCE_UNREADABLE', message: expect.stringMatching(/may not/) as string })
    }
  })
})

describe('a database that is replaced while it is copied is noticed', () => {
  const replacements: Readonly<Record<string, (path: string, other: string) => void>> = {
    'by a rename': (path, other) => renameSync(other, path),
    'by writing over it': (path, other) => copyFileSync(other, path),
    'by deleting it': (path) => rmSync(path),
  }
  for (const [how, replace] of Object.entries(replacements)) {
    test(`replaced ${how}`, async () => {
      using bench = openBench()
      const path = bench.path('clinic.db')
      createClinic(path, { rows: 1_000 })
      createClinic(bench.path('other.db'), { rows: 1_000 })
      await using sink = openFileSink(null, {
        beforeChunk: (offset) => {
          if (offset > 0 && offset <= 1024 * 1024) replace(path, bench.path('other.db'))
        },
      })
      const snapshot = openEngine({ path }, bench.context()).snapshot(sink, never)
      await expect(snapshot).rejects.toMatchObject({ code: 'SOURCE_CHANGED', retryable: true })
    })
  }
})

test('a symbolic link is followed to the database and its log', async () => {
  using bench = openBench()
  mkdirSync(bench.path('data'))
  createClinic(bench.path('data/clinic.db'), { rows: 100 })
  symlinkSync(bench.path('data/clinic.db'), bench.path('link.db'))
  await using writer = await startWriter(bench.path('data/clinic.db'), { tps: 200 })
  await using sink = openFileSink(bench.path('copy.db'))
  await openEngine({ path: bench.path('link.db') }, bench.context()).snapshot(sink, never)
  assertInvariant(bench.path('copy.db'))
  expect((await writer.stop()).errors).toBe(0)
})

test('advice does not stop a backup: rollback journal, and more than one name', async () => {
  using bench = openBench()
  createClinic(bench.path('clinic.db'), { rows: 10, journal: 'delete' })
  linkSync(bench.path('clinic.db'), bench.path('second.db'))
  const probe = await openEngine({ path: bench.path('clinic.db') }, bench.context()).probe(never)
  expect(probe.version).toMatch(/^3\.\d+\.\d+$/)
  expect(probe.notices).toEqual([
    expect.stringContaining('hard links'),
    expect.stringContaining('rollback-journal mode'),
  ])
})

test('a look changes nothing: neither the file, nor its mode, nor what lies beside it', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 10 })
  await using application = await openElsewhere(path)
  await application.exec('UPDATE patients SET seen = seen')
  const before = execFileSync('sha256sum', [path, `${path}-wal`]).toString()
  await openEngine({ path }, bench.context()).probe(never)
  expect(execFileSync('sha256sum', [path, `${path}-wal`]).toString()).toBe(before)
  expect(await application.get('PRAGMA journal_mode')).toBe('wal')
})
