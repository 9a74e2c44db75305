import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import type { Increment, ParentBackup, SnapshotFacts } from '@salvor/shared/ports/engine'
import { openBench, type Bench } from '@salvor/testkit/fakes/engine-context'
import { fileContent } from '@salvor/testkit/fakes/file-content'
import { openFileSink } from '@salvor/testkit/fakes/file-sink'
import { createClinic } from '@salvor/testkit/real/sqlite-writer'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { openEngine } from './index.ts'
import { DigestsReader, DigestsWriter } from './pages/digests-file.ts'
import { type DigestAlgorithm, SALT_BYTES } from './pages/digesting.ts'
import { pageDigester } from './pages/page-digester.ts'
import { groupHead, headLine } from './pages/page-stream.ts'

const never = new AbortController().signal
const ROUNDS = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 400 : 40

interface Link {
  readonly file: string
  readonly facts: SnapshotFacts
}

const parentOf = ({ facts }: Link): ParentBackup => ({
  id: 'parent',
  consistent_at: facts.consistent_at,
  engine_facts: facts.engine_facts,
  digests: facts.digests!,
})

async function take(bench: Bench, path: string, name: string, parent: Link | null): Promise<Link> {
  const file = bench.path(name)
  await using sink = openFileSink(file)
  const engine = openEngine({ path }, bench.context())
  const facts = parent
    ? await engine.snapshotChanges!(parentOf(parent), sink, { skipUnchanged: false }, never)
    : await engine.snapshot(sink, never)
  return { file, facts: facts! }
}

const increment = ({ file, facts }: Link, i: number): Increment => ({
  id: `increment-${i}`,
  consistent_at: facts.consistent_at,
  engine_facts: facts.engine_facts,
  open: (work) => work(fileContent(file)),
})

async function merge(bench: Bench, [full, ...rest]: readonly Link[], name: string): Promise<Link> {
  await using sink = openFileSink(bench.path(name))
  const context = bench.context()
  const engine = openEngine({ path: bench.path('no such source') }, context)
  const digests = () => Promise.reject(new Error('not needed'))
  const request = { increments: rest.map(increment), digests }
  const merged = await engine.merge!(fileContent(full!.file), request, sink, never)
  expect(readdirSync(context.scratch_dir)).toEqual(['state.digests'])
  const { consistent_at, source_db } = rest.at(-1)!.facts
  return { file: bench.path(name), facts: { ...merged, consistent_at, source_db, notices: [] } }
}

function change(path: string, sql: string): void {
  const database = new Database(path)
  database.exec(sql)
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.close()
}

test('a merged chain is the file of that instant, its digests are those of a full, and incrementals stand on it', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 2_000, auto_vacuum: 'incremental' })
  const chain = [await take(bench, path, 'full.db', null)]
  const steps = [
    'UPDATE patients SET seen = seen + 1 WHERE id % 500 = 0',
    'INSERT INTO visits SELECT NULL, patient_id, at, reason, findings FROM visits LIMIT 500',
    'DELETE FROM images; PRAGMA incremental_vacuum',
    'CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes (text) SELECT findings FROM visits LIMIT 100',
  ]
  for (const [n, step] of steps.entries()) {
    change(path, step)
    chain.push(await take(bench, path, `${n}.pages`, chain.at(-1)!))
  }
  const merged = await merge(bench, chain, 'merged.db')
  expect(readFileSync(merged.file).equals(readFileSync(path))).toBe(true)
  const { changed_pages: _, ...tip } = chain.at(-1)!.facts.engine_facts
  expect(merged.facts.engine_facts).toEqual(tip)
  expect(readFileSync(merged.facts.digests!).equals(readFileSync(chain.at(-1)!.facts.digests!))).toBe(true)

  change(path, 'UPDATE patients SET seen = 9 WHERE id = 77')
  const next = await take(bench, path, 'next.pages', merged)
  expect(statSync(next.file).size).toBeLessThan(100_000)
  const again = await merge(bench, [merged, next], 'again.db')
  expect(readFileSync(again.file).equals(readFileSync(path))).toBe(true)
})

test('random chains of growing and shrinking states merge to what applying them one by one gives', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
  console.log(`seed ${seed}`)
  const random = randomOf(seed)
  for (let round = 0; round < ROUNDS; round += 1) {
    using bench = openBench()
    const chain = randomChain(bench, random)
    const merged = await merge(bench, chain.links, 'merged.db')
    expect([round, sha(readFileSync(merged.file))]).toEqual([round, sha(chain.state)])
    using reader = new DigestsReader(merged.facts.digests!)
    expect(reader.head.page_count * reader.head.page_size).toBe(chain.state.length)
  }
})

test('a page too few, a flipped byte and a broken stream are found before a full is made of them', async () => {
  using bench = openBench()
  const path = bench.path('clinic.db')
  createClinic(path, { rows: 1_000 })
  const chain = [await take(bench, path, 'full.db', null)]
  change(path, 'UPDATE patients SET seen = seen + 1 WHERE id % 100 = 0')
  chain.push(await take(bench, path, '1.pages', chain[0]!))
  const { file } = chain[1]!
  const good = readFileSync(file)
  const end = good.indexOf(0x0a) + 1
  const flipped = Buffer.from(good)
  flipped[good.length - 2000]! ^= 1
  const spoils = [flipped, good.subarray(0, good.length - 5), Buffer.concat([good.subarray(0, end), Buffer.alloc(4)])]
  for (const [n, bytes] of spoils.entries()) {
    writeFileSync(file, bytes)
    await expect(merge(bench, chain, `spoiled-${n}`)).rejects.toMatchObject({ code: 'ARTIFACT_CORRUPT' })
  }
  expect(existsSync(path)).toBe(true)
})

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Links as section 12 of the format allows them: pages behind an earlier end may be left out, which makes them zeros. */
function randomChain(bench: Bench, random: (below: number) => number): { links: Link[]; state: Buffer } {
  const page_size = 512
  const algorithm: DigestAlgorithm = random(2) === 0 ? 'sha256' : 'nh128'
  const salt = Buffer.alloc(SALT_BYTES, 7)
  const bytes = (pages: number): Buffer =>
    Buffer.from(Uint8Array.from({ length: pages * page_size }, () => random(256)))
  let state = bytes(random(40))
  const link = (name: string, content: Buffer): Link => {
    writeFileSync(bench.path(name), content)
    using writer = new DigestsWriter(bench.path(`${name}.digests`), { page_size, page_count: 0, algorithm, salt })
    const digester = pageDigester({ algorithm, salt }, page_size)
    digester.piece.set(state)
    writer.add(digester.digest(state.length))
    const engine_facts = { state_sha256: writer.state() }
    return { file: bench.path(name), facts: { consistent_at: '', source_db: '', notices: [], engine_facts } }
  }
  const links = [link('full', state)]
  for (let n = 0, count = 1 + random(5); n < count; n += 1) {
    const page_count = random(50)
    const next = Buffer.alloc(page_count * page_size)
    state.copy(next)
    state = next
    const parts = [headLine({ page_size, page_count, digesting: { algorithm, salt } })]
    for (let page = 1; page <= page_count; page += 1 + random(9)) {
      const run = Math.min(1 + random(4), page_count - page + 1)
      const pages = bytes(run)
      pages.copy(state, (page - 1) * page_size)
      parts.push(groupHead([{ first: page, count: run }]), pages)
      page += run - 1
    }
    links.push(link(`${n}.pages`, Buffer.concat([...parts, Buffer.alloc(4)])))
  }
  return { links, state }
}
