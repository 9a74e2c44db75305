import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { expect, test } from 'vitest'
import { bytes, codeOf, never, RING } from './backup.fixture.ts'
import { copyWal } from './copy-wal.ts'
import { contentOf, MIB, SEGMENT, walRequest } from './wal.fixture.ts'
import { writeWal } from './write-wal.ts'

const DATA = bytes(MIB)
const DOCUMENT = `clinic/wal/00000001/${SEGMENT}.json`
const CONTENT = `clinic/wal/00000001/${SEGMENT}.zst.enc`

async function stored() {
  const from = new MemoryStore({ name: 'local' })
  const file = await writeWal(walRequest(from, DATA, { encrypt: true }), never)
  const copy = (to: MemoryStore, document_sha256 = file.document_sha256) =>
    copyWal({ from, to, keyring: RING, source: 'clinic', name: SEGMENT, document_sha256 }, never)
  return { from, file, copy }
}

async function put(store: MemoryStore, key: string, content: Uint8Array): Promise<void> {
  const writer = await store.create(key, {}, never)
  await writer.write(content)
  await writer.finish()
}

test('a piece arrives as it was, and arriving twice is a success', async () => {
  const { file, copy } = await stored()
  const to = new MemoryStore({ name: 's3' })
  expect(await copy(to)).toEqual(file)
  expect((await contentOf(to, SEGMENT)).equals(DATA)).toBe(true)
  expect(await copy(to)).toEqual(file)
})

test('an attempt that broke off before the document is gone on with, if its bytes are the right ones', async () => {
  const { from, file, copy } = await stored()
  const to = new MemoryStore({ name: 's3' })
  await put(to, CONTENT, from.bytes(CONTENT))
  expect(await copy(to)).toEqual(file)
  const foreign = new MemoryStore({ name: 's3' })
  const other = Buffer.from(from.bytes(CONTENT))
  other[1000]! ^= 1
  await put(foreign, CONTENT, other)
  expect(await codeOf(copy(foreign))).toBe('STORE_CONFLICT')
  expect(foreign.keys()).not.toContain(DOCUMENT)
})

test('an origin that does not hold what it promised leaves nothing that counts', async () => {
  const { copy } = await stored()
  const to = new MemoryStore({ name: 's3' })
  expect(await codeOf(copy(to, 'ab'.repeat(32)))).toBe('ARTIFACT_CORRUPT')
  expect(to.keys()).toEqual([])
})
