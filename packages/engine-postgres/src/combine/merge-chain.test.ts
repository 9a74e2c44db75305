import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ArtifactContent, SnapshotSink } from '@salvor/shared/ports/artifact'
import type { Increment } from '@salvor/shared/ports/engine'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c } from '../data-folder/crc32c.ts'
import { ManifestWriter } from '../data-folder/manifest-writer.ts'
import { never, temporaryFolder } from '../engine.fixture.ts'
import { incrementalName, PAGE, writeHead } from '../incremental/form.ts'
import { BLOCK, makeHeader, padded } from '../tar/header.ts'
import { tarParts } from '../tar/parts.ts'
import { mergeChain } from './merge-chain.ts'

const RUNS = process.env['SALVOR_TEST_COUNTS'] === 'full' ? 2_000 : 60

/** Files of one instant: the value that fills each page. */
type State = Readonly<Record<string, readonly number[]>>
type Files = Record<string, Buffer>

const bytesOf = (pages: readonly number[]): Buffer => Buffer.concat(pages.map((value) => Buffer.alloc(PAGE, value)))

const LABEL = 'START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nSTART TIMELINE: 1\n'

function stateFiles(state: State): Files {
  const relations = Object.entries(state).map(([name, pages]) => [name, bytesOf(pages)] as const)
  const others = { PG_VERSION: Buffer.from('16\n'), backup_label: Buffer.from(LABEL) }
  return { ...others, ...Object.fromEntries(relations), 'global/pg_control': Buffer.alloc(16, 1) }
}

/** What Salvor stores of `now` by comparing pages. */
function changes(before: State, now: State): Files {
  const files = Object.entries(stateFiles(now)).map(([name, bytes]) => {
    const [was, is] = [before[name], now[name]]
    if (!was || !is) return [name, bytes] as const
    const pages = is.flatMap((value, i) => (i >= was.length || was[i] !== value ? [i] : []))
    const head = writeHead({ truncation: is.length, pages: Uint32Array.from(pages) })
    return [incrementalName(name), Buffer.concat([head, bytesOf(pages.map((page) => is[page]!))])] as const
  })
  return Object.fromEntries(files)
}

function manifestOf(state: State): Buffer {
  const writer = new ManifestWriter()
  const head = writer.head(16, '72340172838076673')
  const files = Object.entries(stateFiles(state)).map(([path, bytes]) =>
    writer.file({ path, size: bytes.length, mtime: 0, crc: crc32c(bytes) }),
  )
  return Buffer.from(head + files.join('') + writer.tail())
}

function archive(files: Files, state: State): Buffer {
  const parts = Object.entries({ ...files, backup_manifest: manifestOf(state) }).flatMap(([name, bytes]) => [
    makeHeader({ name, type: 'file', size: bytes.length, mtime: 0, uid: 0, gid: 0 }),
    bytes,
    Buffer.alloc(padded(bytes.length) - bytes.length),
  ])
  const folder = makeHeader({ name: 'base/5/', type: 'directory', size: 0, mtime: 0, uid: 0, gid: 0 })
  return Buffer.concat([folder, ...parts, Buffer.alloc(2 * BLOCK)])
}

const contentOf = (bytes: Buffer, piece: number): ArtifactContent => ({
  size: bytes.length,
  async *chunks() {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece)
  },
  writeTo: () => Promise.reject(new Error('not used')),
})

async function merge(archives: readonly Buffer[], piece: number, scratch: string): Promise<Files> {
  mkdirSync(scratch)
  const [full, ...rest] = archives.map((bytes) => contentOf(bytes, piece))
  const increments = rest.map((content, i): Increment => {
    const engine_facts = { incremental: 'pages' }
    return { id: `increment-${i}`, consistent_at: '', engine_facts, open: (work) => work(content) }
  })
  const written: Buffer[] = []
  const sink: SnapshotSink = {
    write: (chunk) => void written.push(Buffer.from(chunk)),
    writeFile: () => Promise.reject(new Error('not used')),
  }
  const watched = (content: ArtifactContent) => content.chunks(never)
  const target = { sink, scratch, watched, written: () => undefined, major: 16, mtime: 0 }
  await mergeChain({ full: full!, increments }, target, never)
  return await filesOf(Buffer.concat(written))
}

async function filesOf(tar: Buffer): Promise<Files> {
  const files: Files = {}
  let name = ''
  for await (const part of tarParts(contentOf(tar, tar.length).chunks(never))) {
    if (part.kind === 'member') {
      name = part.header.name
      if (part.header.type === 'file') files[name] = Buffer.alloc(0)
    } else if (part.kind === 'data') files[name] = Buffer.concat([files[name]!, part.bytes])
  }
  return files
}

const relation = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 9 })
const state = fc.dictionary(fc.constantFrom('base/5/1', 'base/5/1.1', 'base/5/2', 'base/5/3_vm', 'global/4'), relation)

test('files that come, go, grow and shrink: the merged full is the newest state, in pieces of any size', async () => {
  using folder = temporaryFolder()
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(state, { minLength: 2, maxLength: 6 }),
      fc.integer({ min: 300, max: 40_000 }),
      async (states, piece) => {
        const archives = states.map((now, i) => {
          const before = states[i - 1]
          return archive(before ? changes(before, now) : stateFiles(now), now)
        })
        const { backup_manifest, ...merged } = await merge(archives, piece, join(folder.path, `${++run}`))
        const newest = states.at(-1)!
        expect(merged).toEqual(stateFiles(newest))
        const lines = (bytes: Buffer): string[] => bytes.toString().replaceAll(/,$/gm, '').split('\n').slice(0, -2)
        expect(lines(backup_manifest!).toSorted()).toEqual(lines(manifestOf(newest)).toSorted())
      },
    ),
    { numRuns: RUNS },
  )
}, 300_000)

test('a page that is another one, and a file that no backup holds, are found', async () => {
  using folder = temporaryFolder()
  const [before, now] = [{ 'base/5/1': [1, 2, 3] }, { 'base/5/1': [1, 7, 3] }]
  const full = archive(stateFiles(before), before)
  const good = archive(changes(before, now), now)
  const flipped = Buffer.from(good)
  flipped[good.indexOf(Buffer.alloc(PAGE, 7)) + 5]! ^= 1
  await expect(merge([full, flipped], 10_000, join(folder.path, '1'))).rejects.toThrow(/base\/5\/1.*checksum/)
  const without = archive(stateFiles({}), {})
  await expect(merge([without, good], 10_000, join(folder.path, '2'))).rejects.toThrow(/holds the whole of/)
  await expect(merge([good, good], 10_000, join(folder.path, '3'))).rejects.toThrow(/begins with an increment/)
})
