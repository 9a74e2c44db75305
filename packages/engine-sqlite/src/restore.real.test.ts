import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { openBench, type Bench } from '@salvor/testkit/fakes/engine-context'
import { fileContent } from '@salvor/testkit/fakes/file-content'
import { openElsewhere } from '@salvor/testkit/real/sqlite-elsewhere'
import { assertInvariant, createClinic } from '@salvor/testkit/real/sqlite-writer'
import { describe, expect, test } from 'vitest'
import { isLocked } from './in-use.ts'
import { openEngine } from './index.ts'

const never = new AbortController().signal
const root = process.getuid?.() === 0
const AT = '2026-01-02T03:04:05.678901Z'
const facts = { consistent_at: AT }

/** A good copy to restore, and an engine whose source lies elsewhere. */
function prepare(bench: Bench, rows = 200) {
  const copy = bench.path('copy.db')
  createClinic(copy, { rows })
  return { copy, engine: openEngine({ path: bench.path('source.db') }, bench.context()) }
}

describe('a restore to a new place', () => {
  test('gives the bytes of the backup, private, checked, with the instant that came back', async () => {
    using bench = openBench()
    const { copy, engine } = prepare(bench)
    const target = bench.path('new/folder/app.db')
    const restored = await engine.restore(fileContent(copy), { target, in_place: false, engine_facts: facts }, never)
    expect(readFileSync(target).equals(readFileSync(copy))).toBe(true)
    expect(statSync(target).mode & 0o777).toBe(0o600)
    expect(restored.recovered_to).toBe(AT)
    expect(restored.checks.map(({ name, ok }) => [name, ok])).toEqual([
      ['integrity_check', true],
      ['foreign_key_check', true],
    ])
    expect(readdirSync(bench.path('new/folder'))).toEqual(['app.db'])
  })

  test('refuses a file that is there, a folder and a link, and touches none', async () => {
    using bench = openBench()
    const { copy, engine } = prepare(bench)
    writeFileSync(bench.path('there.db'), 'precious')
    mkdirSync(bench.path('folder'))
    symlinkSync(bench.path('there.db'), bench.path('link.db'))
    for (const [name, code] of [
      ['there.db', 'TARGET_NOT_EMPTY'],
      ['folder', 'USAGE'],
      ['link.db', 'USAGE'],
    ] as const) {
      const target = bench.path(name)
      await expect(engine.assertTarget(target, false)).rejects.toMatchObject({ code, exit: 2 })
      const restore = engine.restore(fileContent(copy), { target, in_place: false, engine_facts: facts }, never)
      await expect(restore).rejects.toMatchObject({ code })
    }
    expect(readFileSync(bench.path('there.db'), 'utf8')).toBe('precious')
    await expect(engine.assertTarget(bench.path('there.db/x.db'), false)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
    })
    await engine.assertTarget(bench.path('new/folder/app.db'), false)
    expect(existsSync(bench.path('new'))).toBe(false)
  })

  test('removes what a killed restore left there long ago, and nothing else', async () => {
    using bench = openBench()
    const { copy, engine } = prepare(bench)
    const gone = spawnSync('true').pid
    const long = new Date(Date.now() - 2 * 3_600_000)
    const old = [
      `.app.db.restore-${gone}-1`,
      `.app.db.restore-${gone}-1-wal`,
      `.app.db.restore-${process.pid}-9`,
      '.app.db.x',
    ]
    for (const name of [...old, `.app.db.restore-${gone}-2`]) writeFileSync(bench.path(name), '')
    for (const name of old) utimesSync(bench.path(name), long, long)
    const request = { target: bench.path('app.db'), in_place: false, engine_facts: facts }
    await engine.restore(fileContent(copy), request, never)
    const left = readdirSync(bench.folder).filter((name) => name.startsWith('.'))
    expect(left.toSorted()).toEqual([...old.slice(1), `.app.db.restore-${gone}-2`].toSorted())
  })

  test('is not spoiled by the log of a database that lay there before', async () => {
    using bench = openBench()
    const { copy, engine } = prepare(bench)
    const target = bench.path('app.db')
    createClinic(target, { rows: 300 })
    const application = await openElsewhere(target)
    await application.exec('UPDATE ledger SET amount = 0; DELETE FROM visits')
    await application.kill()
    execFileSync('rm', [target])
    writeFileSync(`${target}-journal`, 'old')
    expect(statSync(`${target}-wal`).size).toBeGreaterThan(0)
    await engine.restore(fileContent(copy), { target, in_place: false, engine_facts: facts }, never)
    for (const end of ['-wal', '-shm', '-journal']) expect(existsSync(target + end)).toBe(false)
    expect(assertInvariant(target)).toEqual({ transactions: 0 })
    expect(readFileSync(target).equals(readFileSync(copy))).toBe(true)
  })

  test('does not overwrite a file that came into being meanwhile', async () => {
    using bench = openBench()
    const { copy, engine } = prepare(bench)
    const target = bench.path('app.db')
    const content = fileContent(copy, () => writeFileSync(target, 'precious'))
    await expect(
      engine.restore(content, { target, in_place: false, engine_facts: facts }, never),
    ).rejects.toMatchObject({
      code: 'TARGET_NOT_EMPTY',
    })
    expect(readFileSync(target, 'utf8')).toBe('precious')
    expect(readdirSync(bench.folder).filter((name) => name.includes('restore-'))).toEqual([])
  })
})

describe('a restore in place', () => {
  test('replaces the database, keeps its owner and mode, and removes its log', async () => {
    using bench = openBench()
    const { copy, engine } = prepare(bench)
    const target = bench.path('app.db')
    createClinic(target, { rows: 50 })
    const application = await openElsewhere(target)
    await application.exec('UPDATE ledger SET amount = 0')
    await application.kill()
    chmodSync(target, 0o640)
    if (root) chownSync(target, 65534, 65534)
    const before = statSync(target)
    await engine.assertTarget(target, true)
    await engine.restore(fileContent(copy), { target, in_place: true, engine_facts: facts }, never)
    const after = statSync(target)
    expect([after.mode, after.uid, after.gid]).toEqual([before.mode, before.uid, before.gid])
    expect(existsSync(`${target}-wal`)).toBe(false)
    expect(readFileSync(target).equals(readFileSync(copy))).toBe(true)
    assertInvariant(target)
  })

  test('refuses a database that a program has open, and names it', async () => {
    using bench = openBench()
    const { copy, engine } = prepare(bench)
    const target = bench.path('app.db')
    createClinic(target, { rows: 50 })
    const before = readFileSync(target)
    await using application = await openElsewhere(target)
    await application.get('SELECT count(*) FROM patients')
    const text = `pid ${application.pid} (`
    await expect(engine.assertTarget(target, true)).rejects.toMatchObject({
      code: 'TARGET_IN_USE',
      message: expect.stringContaining(text) as string,
    })
    const restore = engine.restore(fileContent(copy), { target, in_place: true, engine_facts: facts }, never)
    await expect(restore).rejects.toMatchObject({ code: 'TARGET_IN_USE', exit: 2 })
    expect(readFileSync(target).equals(before)).toBe(true)
  })

  test('refuses a database that is open where no list of processes shows it, and changes nothing by looking', async () => {
    using bench = openBench()
    const target = bench.path('app.db')
    createClinic(target, { rows: 50 })
    const application = await openElsewhere(target)
    await application.exec('UPDATE patients SET seen = 0')
    expect(await isLocked(target, bench.folder)).toBe(true)
    await application.kill()
    const sums = (): string => execFileSync('sha256sum', [target, `${target}-wal`]).toString()
    const before = [sums(), readdirSync(bench.folder)]
    expect(await isLocked(target, bench.folder)).toBe(false)
    expect([sums(), readdirSync(bench.folder)]).toEqual(before)
  })

  test('refuses when the application was started again meanwhile', async () => {
    using bench = openBench()
    const { copy, engine } = prepare(bench)
    const target = bench.path('app.db')
    createClinic(target, { rows: 50 })
    const started: AsyncDisposable[] = []
    const content = fileContent(copy, async () => {
      const application = await openElsewhere(target)
      await application.get('SELECT count(*) FROM patients')
      started.push(application)
    })
    const restore = engine.restore(content, { target, in_place: true, engine_facts: facts }, never)
    await expect(restore).rejects.toMatchObject({ code: 'TARGET_IN_USE' })
    for (const application of started) await application[Symbol.asyncDispose]()
    expect(assertInvariant(target)).toEqual({ transactions: 0 })
    expect(readdirSync(bench.folder).filter((name) => name.includes('restore-'))).toEqual([])
  })

  test('refuses a file that is no database, unless it is the path of the source', async () => {
    using bench = openBench()
    const { copy, engine } = prepare(bench)
    writeFileSync(bench.path('letter.txt'), 'precious')
    await expect(engine.assertTarget(bench.path('letter.txt'), true)).rejects.toMatchObject({ code: 'USAGE' })
    const target = bench.path('source.db')
    writeFileSync(target, 'a first page that a disk has ruined')
    await engine.restore(fileContent(copy), { target, in_place: true, engine_facts: facts }, never)
    assertInvariant(target)
  })
})

describe('a restore that fails leaves what was there, and nothing of its own', () => {
  async function failureOver(
    bench: Bench,
    copy: string,
    options: { readonly spoil?: (offset: number) => void; readonly signal?: AbortSignal } = {},
  ): Promise<unknown> {
    const target = bench.path('app.db')
    createClinic(target, { rows: 50 })
    const before = readFileSync(target)
    const engine = openEngine({ path: bench.path('source.db') }, bench.context())
    const content = fileContent(copy, options.spoil)
    const request = { target, in_place: true, engine_facts: facts }
    const failure = await engine.restore(content, request, options.signal ?? never).catch((error: unknown) => error)
    expect(readFileSync(target).equals(before)).toBe(true)
    expect(readdirSync(bench.folder).filter((name) => name.includes('restore-'))).toEqual([])
    return failure
  }

  test('a backup whose pages are damaged', async () => {
    using bench = openBench()
    const copy = bench.path('copy.db')
    createClinic(copy, { rows: 200 })
    const bytes = readFileSync(copy)
    bytes.fill(0x5a, 4096 * 30, 4096 * 31)
    writeFileSync(copy, bytes)
    expect(await failureOver(bench, copy)).toMatchObject({ code: 'RESTORE_FAILED' })
  })

  test('a backup that is no database', async () => {
    using bench = openBench()
    writeFileSync(bench.path('copy.db'), 'x'.repeat(10_000))
    expect(await failureOver(bench, bench.path('copy.db'))).toMatchObject({ code: 'RESTORE_FAILED' })
  })

  test('a store that breaks off', async () => {
    using bench = openBench()
    const { copy } = prepare(bench, 1_000)
    const spoil = (offset: number): void => {
      if (offset > 0) throw new Error('connection reset')
    }
    expect(await failureOver(bench, copy, { spoil })).toMatchObject({ code: 'RESTORE_FAILED' })
  })

  test('an abort', async () => {
    using bench = openBench()
    const { copy } = prepare(bench, 1_000)
    const abort = new AbortController()
    const spoil = (offset: number): void => {
      if (offset > 0) abort.abort()
    }
    expect(await failureOver(bench, copy, { spoil, signal: abort.signal })).toMatchObject({ code: 'INTERRUPTED' })
  })

  test.skipIf(!root)('a full disk (needs root for a small one)', async () => {
    using bench = openBench()
    const { copy, engine } = prepare(bench, 1_000)
    mkdirSync(bench.path('disk'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', bench.path('disk')])
    try {
      const request = { target: bench.path('disk/app.db'), in_place: false, engine_facts: facts }
      execFileSync('fallocate', ['-l', '14m', bench.path('disk/other')])
      await expect(engine.restore(fileContent(copy), request, never)).rejects.toMatchObject({ code: 'DISK_FULL' })
      expect(readdirSync(bench.path('disk'))).toEqual(['other'])
      execFileSync('rm', [bench.path('disk/other')])
      // Filled while it is written to: the look before does not see it.
      const spoil = (offset: number): void => {
        if (offset > 0 && !existsSync(bench.path('disk/other')))
          execFileSync('fallocate', ['-l', '14m', bench.path('disk/other')])
      }
      await expect(engine.restore(fileContent(copy, spoil), request, never)).rejects.toMatchObject({
        code: 'DISK_FULL',
      })
      expect(readdirSync(bench.path('disk'))).toEqual(['other'])
    } finally {
      execFileSync('umount', [bench.path('disk')])
    }
  })
})
