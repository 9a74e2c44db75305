import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test } from 'vitest'
import { never, RING } from './backup.fixture.ts'
import { changeSetFileOf, parseChangeDocument, serializeChangeDocument } from './change-document.ts'
import { writeChain, writeCompacted } from './change-sets.fixture.ts'
import { sha256 } from './hash.ts'
import { readChanges } from './read-changes.ts'

/** Each was written once by the first writer of docs/format.md section 16, of its sets or of compacted ones; they keep stored change sets readable. */
const repositories = [await frozen('v1-changes', writeChain), await frozen('v1-compacted-changes', writeCompacted)]
const files = repositories.flatMap(({ expected, store }) =>
  Object.entries(expected).map(([key, sum]) => [key, sum, store] as const),
)

test.each(files)(
  'the frozen change set %s opens, and its document is written the same today',
  async (key, sum, store) => {
    const { body, sha256: document_sha256 } = parseChangeDocument(store.bytes(key), key, RING)
    const { source, base, name } = body
    const chunks: Uint8Array[] = []
    const address = { store, keyring: RING, source, base, name, document_sha256 }
    for await (const chunk of readChanges(address, never)) chunks.push(chunk)
    expect(sha256(Buffer.concat(chunks))).toBe(sum)
    expect(serializeChangeDocument(body, RING).equals(store.bytes(key))).toBe(true)
  },
)

test('nothing in the frozen repositories is unknown to this test', () => {
  for (const { store, expected } of repositories) expect(store.keys()).toHaveLength(2 * Object.keys(expected).length)
})

test('a frozen compacted set names the state that it brings by the document that lies beside it', () => {
  const { store, expected } = repositories[1]!
  const documents = Object.keys(expected).map((key) => parseChangeDocument(store.bytes(key), key, RING))
  const compacted = documents.filter(({ body }) => body.brings_state_of !== undefined)
  expect(compacted).toHaveLength(1)
  const { body } = compacted[0]!
  const last = documents.find(({ sha256: document }) => document === body.brings_state_of)!.body
  const { name, brings_state_of } = changeSetFileOf(body, compacted[0]!.sha256)
  expect([name.endsWith('-compacted'), brings_state_of]).toEqual([true, body.brings_state_of])
  expect([body.to_at, body.page_count, body.position]).toEqual([last.to_at, last.page_count, last.position])
})

async function frozen(name: string, write: (made: MemoryStore) => Promise<Record<string, string>>) {
  const folder = fileURLToPath(new URL(`../golden/${name}`, import.meta.url))
  const store = new MemoryStore()
  for (const entry of globSync('store/**', { cwd: folder, withFileTypes: true }).filter((file) => file.isFile())) {
    const file = join(entry.parentPath, entry.name)
    store.plant(file.slice(folder.length + '/store/'.length), readFileSync(file))
  }
  const list = join(folder, 'content.json')
  if (existsSync(list)) return { store, expected: JSON.parse(readFileSync(list, 'utf8')) as Record<string, string> }
  void writeFrozen(folder, write)
  await writeFrozen(folder, write)
  throw new Error(`${folder} was written now: look at it, then commit it`)
}

async function writeFrozen(folder: string, write: Parameters<typeof frozen>[1]): Promise<void> {
  const made = new MemoryStore()
  const content = await write(made)
  for (const key of made.keys()) {
    mkdirSync(dirname(join(folder, 'store', key)), { recursive: true })
    writeFileSync(join(folder, 'store', key), made.bytes(key))
  }
  writeFileSync(join(folder, 'content.json'), `${JSON.stringify(content, null, 2)}\n`)
}
