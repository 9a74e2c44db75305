import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test } from 'vitest'
import { bytes, never, RING } from './backup.fixture.ts'
import { sha256 } from './hash.ts'
import { parseWalDocument, serializeWalDocument } from './wal-document.ts'
import { contentOf, historyPiece, MIB, segmentPiece, tailPiece, walRequest } from './wal.fixture.ts'
import { writeWal } from './write-wal.ts'

/** golden/v1-wal was written once by the first writer of docs/format.md section 13; it keeps stored WAL readable. */
const GOLDEN = fileURLToPath(new URL('../golden/v1-wal', import.meta.url))
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
  'the frozen piece %s opens, and its document is written the same today',
  async (key, sum) => {
    const { body } = parseWalDocument(store.bytes(key), key, RING)
    expect(sha256(await contentOf(store, body.name, body.source))).toBe(sum)
    expect(serializeWalDocument(body, RING).equals(store.bytes(key))).toBe(true)
  },
)

test('nothing in the frozen repository is unknown to this test', () => {
  expect(store.keys()).toHaveLength(2 * Object.keys(expected).length)
})

async function writeGolden(): Promise<void> {
  const made = new MemoryStore()
  const content: Record<string, string> = {}
  const random = bytes(40_000)
  const data = Buffer.concat([random, Buffer.alloc(MIB - random.length)])
  const history = Buffer.from('1\t0/3001000\tno recovery target specified\n')
  for (const [piece, plain, encrypt] of [
    [segmentPiece, data, true],
    [tailPiece, data.subarray(0, 4096), false],
    [historyPiece, history, true],
  ] as const) {
    await writeWal(walRequest(made, plain, { piece, encrypt }), never)
    content[`clinic/wal/${piece.name.slice(0, 8)}/${piece.name}.json`] = sha256(plain)
  }
  for (const key of made.keys()) {
    mkdirSync(dirname(join(GOLDEN, 'store', key)), { recursive: true })
    writeFileSync(join(GOLDEN, 'store', key), made.bytes(key))
  }
  writeFileSync(join(GOLDEN, 'content.json'), `${JSON.stringify(content, null, 2)}\n`)
}
