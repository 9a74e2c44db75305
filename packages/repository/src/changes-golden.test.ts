import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ChangePiece } from '@salvor/shared/vocabulary/change-set'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test } from 'vitest'
import { bytes, ID, never, RING, TIME } from './backup.fixture.ts'
import { parseChangeDocument, serializeChangeDocument } from './change-document.ts'
import { sha256 } from './hash.ts'
import { readChanges } from './read-changes.ts'
import { writeChanges } from './write-changes.ts'

/** golden/v1-changes was written once by the first writer of docs/format.md section 16; it keeps stored change sets readable. */
const GOLDEN = fileURLToPath(new URL('../golden/v1-changes', import.meta.url))
if (!existsSync(GOLDEN)) {
  await writeGolden()
  throw new Error(`${GOLDEN} was written now: look at it, then commit it`)
}
const store = new MemoryStore()
for (const entry of globSync('store/**', { cwd: GOLDEN, withFileTypes: true }).filter((file) => file.isFile())) {
  const file = join(entry.parentPath, entry.name)
  store.plant(file.slice(GOLDEN.length + '/store/'.length), readFileSync(file))
}
const expected = JSON.parse(readFileSync(join(GOLDEN, 'content.json'), 'utf8')) as Record<string, string>

test.each(Object.entries(expected))(
  'the frozen change set %s opens, and its document is written the same today',
  async (key, sum) => {
    const { body, sha256: document_sha256 } = parseChangeDocument(store.bytes(key), key, RING)
    const { source, base, name } = body
    const chunks: Uint8Array[] = []
    const address = { store, keyring: RING, source, base, name, document_sha256 }
    for await (const chunk of readChanges(address, never)) chunks.push(chunk)
    expect(sha256(Buffer.concat(chunks))).toBe(sum)
    expect(serializeChangeDocument(body, RING).equals(store.bytes(key))).toBe(true)
  },
)

test('nothing in the frozen repository is unknown to this test', () => {
  expect(store.keys()).toHaveLength(2 * Object.keys(expected).length)
})

/** Pages 2 and 7 of a database of 9, as docs/format.md section 12 has them. */
function pagesContent(): Buffer {
  const head = '{"format":"salvor-pages","version":1,"page_size":512,"page_count":9,"salt":""}\n'
  const group = (page: number): Buffer => {
    const numbers = Buffer.alloc(8)
    numbers.writeUInt32BE(1, 0)
    numbers.writeUInt32BE(page, 4)
    return Buffer.concat([numbers, bytes(512, page)])
  }
  return Buffer.concat([Buffer.from(head), group(2), group(7), Buffer.alloc(4)])
}

async function writeGolden(): Promise<void> {
  const made = new MemoryStore()
  const content: Record<string, string> = {}
  const plain = pagesContent()
  const counts = { page_size: 512, page_count: 9, pages: 2 }
  const first: ChangePiece = {
    base: ID,
    method: 'scan',
    stands_on: 'base',
    previous: null,
    lost: null,
    ...counts,
    from_at: '2025-11-27T20:39:00.000000Z',
    to_at: '2025-11-27T20:39:30.294774Z',
    state_sha256: 'cd'.repeat(32),
    position: null,
  }
  const rules = { store: made, keyring: RING, allowPlain: false, level: 1, source: 'clinic', id: ID }
  const common = { ...rules, timestamp: TIME, tool_version: '0.1.0', content: () => [plain] }
  const { document_sha256 } = await writeChanges({ ...common, encrypt: true, piece: first }, never)
  const second: ChangePiece = {
    base: ID,
    method: 'log',
    stands_on: 'previous',
    previous: document_sha256,
    lost: null,
    ...counts,
    from_at: '2025-11-27T20:39:40.000000Z',
    to_at: '2025-11-27T20:39:41.000001Z',
    state_sha256: null,
    position: 'wal 4711 00112233445566ff 12 1 4294967295',
  }
  await writeChanges({ ...common, encrypt: false, piece: second }, never)
  for (const key of made.keys()) {
    mkdirSync(dirname(join(GOLDEN, 'store', key)), { recursive: true })
    writeFileSync(join(GOLDEN, 'store', key), made.bytes(key))
    if (key.endsWith('.json')) content[key] = sha256(plain)
  }
  writeFileSync(join(GOLDEN, 'content.json'), `${JSON.stringify(content, null, 2)}\n`)
}
