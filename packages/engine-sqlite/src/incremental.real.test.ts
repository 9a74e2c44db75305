import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { Increment, ParentBackup, SnapshotFacts } from '@salvor/shared/ports/engine'
import { openBench, type Bench } from '@salvor/testkit/fakes/engine-context'
import { fileContent } from '@salvor/testkit/fakes/file-content'
import { openFileSink } from '@salvor/testkit/fakes/file-sink'
import { assertInvariant, createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { openEngine } from './index.ts'
import { DigestsWriter } from './pages/digests-file.ts'
import { pageDigester } from './pages/page-digester.ts'

const never = new AbortController().signal
const LINKS = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 30 : 4

interface Link {
  readonly file: string
  readonly facts: SnapshotFacts
}

/** A chain as it grows, its artifacts in plain files. */
class Chain {
  readonly #bench: Bench
  readonly #path: string
  readonly links: Link[] = []
  #tries = 0

  constructor(bench: Bench, path: string) {
    this.#bench = bench
    this.#path = path
  }
  get bytes(): number {
    return statSync(this.links.at(-1)!.file).size
  }
  async full(): Promise<void> {
    await using sink = openFileSink(this.#bench.path('full.db'))
    const facts = await openEngine({ path: this.#path }, this.#bench.context()).snapshot(sink, never)
    this.links.push({ file: this.#bench.path('full.db'), facts })
  }
  /** False: nothing had changed. */
  async increment(skipUnchanged = false, path = this.#path): Promise<boolean> {
    const file = this.#bench.path(`${(this.#tries += 1)}.pages`)
    await using sink = openFileSink(file)
    const engine = openEngine({ path }, this.#bench.context())
    const facts = await engine.snapshotChanges!(this.#parent(), sink, { skipUnchanged }, never)
    if (facts) this.links.push({ file, facts })
    else expect(sink.size).toBe(0)
    return facts !== null
  }
  async restore(target: string, upTo = this.links.length): Promise<void> {
    const [full, ...rest] = this.links.slice(0, upTo)
    const increments = rest.map(({ file, facts }, i): Increment => ({
      id: `increment-${i}`,
      consistent_at: facts.consistent_at,
      engine_facts: facts.engine_facts,
      open: (work) => work(fileContent(file)),
    }))
    const engine = openEngine({ path: this.#bench.path('elsewhere.db') }, this.#bench.context())
    const request = { target, in_place: false, increments, engine_facts: full!.facts.engine_facts }
    const { recovered_to } = await engine.restore(fileContent(full!.file), request, never)
    expect(recovered_to).toBe(this.links[upTo - 1]!.facts.consistent_at)
  }
  #parent(): ParentBackup {
    const { facts } = this.links.at(-1)!
    const { consistent_at, engine_facts, digests } = facts
    return { id: 'parent', consistent_at, engine_facts, digests: digests! }
  }
}

function change(path: string, sql: string): void {
  const database = new Database(path)
  database.exec(sql)
  database.close()
}

const mainFile = (path: string): Buffer => {
  const database = new Database(path)
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.close()
  return readFileSync(path)
}

for (const tps of [200, 2_000]) {
  test(`a chain taken under ${tps} transactions a second comes back, each link at its own instant`, async () => {
    using bench = openBench()
    const path = bench.path('clinic.db')
    createClinic(path, { rows: 3_000 })
    await using writer = await startWriter(path, { tps })
    const chain = new Chain(bench, path)
    await chain.full()
    for (let link = 0; link < LINKS; link += 1) await chain.increment()
    await writer.stop()
    let before = -1
    for (let upTo = 1; upTo <= chain.links.length; upTo += 1) {
      const target = bench.path(`restored-${upTo}.db`)
      await chain.restore(target, upTo)
      const { transactions } = assertInvariant(target)
      expect(transactions).toBeGreaterThan(before)
      before = transactions
    }
  })
}

test.each(['wal', 'delete'] as const)('what comes back is the file, byte for byte (%s)', async (journal) => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 2_000, journal, auto_vacuum: 'incremental' })
  const chain = new Chain(bench, path)
  await chain.full()
  const steps = [
    'UPDATE patients SET seen = seen + 1 WHERE id % 500 = 0',
    'INSERT INTO visits SELECT NULL, patient_id, at, reason, findings FROM visits LIMIT 500',
    'DELETE FROM images; PRAGMA incremental_vacuum',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes (text) SELECT findings FROM visits LIMIT 100',
  ]
  for (const [n, step] of steps.entries()) {
    change(path, step)
    await chain.increment()
    const target = bench.path(`restored-${n}.db`)
    await chain.restore(target)
    expect(readFileSync(target).equals(mainFile(path))).toBe(true)
  }
})

test('only what changed is stored, and where nothing did a scheduled one stores nothing', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 5_000 })
  const chain = new Chain(bench, path)
  await chain.full()
  const whole = chain.bytes
  change(path, 'UPDATE patients SET seen = 1 WHERE id % 1000 = 0')
  expect(await chain.increment()).toBe(true)
  expect(chain.bytes).toBeLessThan(whole / 50)
  expect(await chain.increment(true)).toBe(false)
  expect(await chain.increment(false)).toBe(true)
  expect(chain.links.at(-1)!.facts.engine_facts['changed_pages']).toBe(0)
  await chain.restore(bench.path('restored.db'))
  expect(readFileSync(bench.path('restored.db')).equals(mainFile(path))).toBe(true)
})

test('a chain that an older Salvor began goes on with its digests', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 1_000 })
  const chain = new Chain(bench, path)
  await chain.full()
  olderDigests(chain.links[0]!)
  for (const seen of [1, 2]) {
    change(path, `UPDATE patients SET seen = ${seen} WHERE id % 100 = 0`)
    await chain.increment()
    const { file, facts } = chain.links.at(-1)!
    expect(facts.engine_facts['changed_pages']).toBeLessThan(30)
    for (const told of [file, facts.digests!]) expect(firstLine(told)).not.toHaveProperty('algorithm')
  }
  await chain.restore(bench.path('restored.db'))
  expect(readFileSync(bench.path('restored.db')).equals(mainFile(path))).toBe(true)
})

const firstLine = (file: string): unknown => JSON.parse(readFileSync(file, 'latin1').split('\n', 1)[0]!)

/** SHA-256 of salt and page, as fulls had it first. */
function olderDigests({ file, facts }: Link): void {
  const { page_size, page_count } = facts.engine_facts as Record<string, number>
  const salted = { algorithm: 'sha256', salt: Buffer.alloc(16, 5) } as const
  const pages = readFileSync(file)
  const digester = pageDigester(salted, page_size!)
  using writer = new DigestsWriter(facts.digests!, { page_size: page_size!, page_count: page_count!, ...salted })
  for (let at = 0; at < pages.length; at += digester.piece.length) {
    writer.add(digester.digest(pages.copy(digester.piece, 0, at)))
  }
}

test('a VACUUM, another page size and another database of the same name ask for a full', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 2_000, journal: 'delete' })
  const chain = new Chain(bench, path)
  await chain.full()
  change(path, 'DELETE FROM visits WHERE id % 3 > 0; DELETE FROM images WHERE id % 2 = 0; VACUUM')
  const needed = (reason: string) => ({
    code: 'FULL_NEEDED',
    facts: expect.objectContaining({ reason: expect.stringContaining(reason) }),
  })
  await expect(chain.increment()).rejects.toMatchObject(needed('% of the pages changed'))
  change(path, 'PRAGMA page_size = 8192; VACUUM')
  await expect(chain.increment()).rejects.toMatchObject(needed('page size changed from 4096 to 8192'))
  createClinic(bench.path('other.db'), { rows: 2_500 })
  change(bench.path('other.db'), `UPDATE visits SET findings = id || findings; UPDATE patients SET notes = id || notes`)
  await expect(chain.increment(false, bench.path('other.db'))).rejects.toMatchObject(needed('% of the pages changed'))
})

test('a flipped byte, a cut stream and a page too few are found, and nothing comes to the target', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 1_000 })
  const chain = new Chain(bench, path)
  await chain.full()
  change(path, 'UPDATE patients SET seen = seen + 1 WHERE id % 100 = 0')
  await chain.increment()
  const { file } = chain.links.at(-1)!
  const good = readFileSync(file)
  const target = bench.path('restored.db')
  const end = good.indexOf(0x0a) + 1
  const spoils: Record<string, Buffer> = {
    'a byte of a page': spoiled(good, good.length - 2000),
    'a page number': spoiled(good, end + 7),
    'the first line': spoiled(good, 3),
    'cut short': good.subarray(0, good.length - 5),
    'only its end': Buffer.concat([good.subarray(0, end), Buffer.alloc(4)]),
    'more behind its end': Buffer.concat([good, Buffer.alloc(9)]),
  }
  for (const [what, bytes] of Object.entries(spoils)) {
    writeFileSync(file, bytes)
    const failure = await chain.restore(target).catch((error: unknown) => error)
    expect([what, ['RESTORE_FAILED', 'ARTIFACT_CORRUPT'].includes((failure as { code: string }).code)]).toEqual([
      what,
      true,
    ])
    expect(existsSync(target)).toBe(false)
  }
  writeFileSync(file, good)
  await chain.restore(target)
})

function spoiled(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at]! ^= 1
  return copy
}
