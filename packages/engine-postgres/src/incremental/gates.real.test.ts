import { startPostgres } from '@salvor/testkit/real/postgres'
import { newerPrograms } from '@salvor/testkit/real/postgres-programs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { engineOf, fileSink, never, temporaryFolder } from '../engine.fixture.ts'

const INITDB = ['--data-checksums']
const settings = { summarize_wal: 'on' }

/** What an engine with nothing but a URL makes of one changed page of 20 MB. */
async function incrementOf(major: 17 | 18, bin?: string) {
  using folder = temporaryFolder()
  await using server = await startPostgres({ major, initdb: INITDB, settings, ...(bin === undefined ? {} : { bin }) })
  await server.query(
    `CREATE TABLE patients AS SELECT g AS id, repeat($$x$$, 500) AS t FROM generate_series(1, 36000) g`,
  )
  const engine = () => engineOf(server.url, folder.path)
  using whole = fileSink(join(folder.path, 'full.tar'))
  const full = await engine().snapshot(whole, never)
  await server.query('UPDATE patients SET t = $$y$$ WHERE id = 7')
  using changes = fileSink(join(folder.path, 'changes.tar'))
  const parent = { id: 'p', ...full, digests: full.digests! }
  const facts = await engine().snapshotChanges!(parent, changes, { skipUnchanged: false }, never)
  return { version: server.version, facts: facts!, less: whole.bytes - changes.bytes }
}

describe.each([17, 18] as const)('an incremental of PostgreSQL %i', (major) => {
  test('of the minor of npm, which is known to forget pages, is taken by comparing them, and says so', async () => {
    const { version, facts, less } = await incrementOf(major)
    expect(facts.engine_facts['incremental']).toBe('pages')
    const fixed = { 17: '17\\.11', 18: '18\\.6' }[major]
    expect(facts.notices[0]).toMatch(RegExp(`PostgreSQL ${version}: .*fixed in ${fixed}.*: \\d+ of \\d+ pages differ`))
    expect(less).toBeGreaterThan(18_000_000)
  })

  const { bin, missing } = newerPrograms(major)
  test('of a minor past the gates is taken by the server', async ({ skip }) => {
    skip(bin === null, missing)
    const { facts, less } = await incrementOf(major, bin!)
    expect(facts.engine_facts['incremental']).toBe('native')
    expect(facts.notices).toEqual([])
    expect(less).toBeGreaterThan(18_000_000)
  })
})
