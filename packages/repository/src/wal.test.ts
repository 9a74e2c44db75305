import { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { tailName } from '@salvor/shared/vocabulary/wal'
import { expect, test } from 'vitest'
import { bytes, codeOf, ID, KEYS, never, RING } from './backup.fixture.ts'
import { publicOnly } from './key-file.ts'
import { openKeyring } from './keyring.ts'
import { parseWalDocument, serializeWalDocument } from './wal-document.ts'
import { contentOf, historyPiece, MIB, SEGMENT, segmentPiece, tailPiece, walRequest } from './wal.fixture.ts'
import { parseWalDocumentKey, walDocumentKey, walFilename } from './wal-layout.ts'
import { readReplacedWal } from './read-replaced-wal.ts'
import { writeWal } from './write-wal.ts'

const DATA = bytes(MIB)
const WORKER = openKeyring(publicOnly(KEYS.keyring), 'salvor-keys.json', true)
const at = (name: string) => `clinic/wal/00000001/${name}`

test('a segment, a tail and a history file come back as they were, encrypted or not', async () => {
  for (const encrypt of [true, false]) {
    const store = new MemoryStore()
    const history = Buffer.from('1\t0/3001000\tno recovery target specified\n')
    await writeWal(walRequest(store, DATA, { encrypt, keyring: WORKER }), never)
    await writeWal(walRequest(store, DATA.subarray(0, 4096), { encrypt, piece: tailPiece }), never)
    await writeWal(walRequest(store, history, { encrypt, piece: historyPiece }), never)
    expect((await contentOf(store, SEGMENT)).equals(DATA)).toBe(true)
    expect((await contentOf(store, tailPiece.name)).equals(DATA.subarray(0, 4096))).toBe(true)
    expect((await contentOf(store, '00000002.history')).equals(history)).toBe(true)
    expect(store.keys()).toContain('clinic/wal/00000002/00000002.history.json')
    expect(store.keys()).toContain(at(`${SEGMENT}.zst${encrypt ? '.enc' : ''}`))
  }
})

test('a worker stores what it cannot open', async () => {
  const store = new MemoryStore()
  await writeWal(walRequest(store, DATA, { keyring: WORKER }), never)
  expect(await codeOf(contentOf(store, SEGMENT, 'clinic', WORKER))).toBe('KEY_MISSING')
})

test('the same piece again is a success that writes nothing; other bytes of that name are refused', async () => {
  const store = new MemoryStore()
  const first = await writeWal(walRequest(store, DATA), never)
  const document = store.bytes(at(`${SEGMENT}.json`))
  const again = { id: '019ac6f5-77f6-7c31-8000-0123456789ac', timestamp: '2025-11-27T20:40:00.000000Z' }
  expect(await writeWal(walRequest(store, DATA, again), never)).toEqual(first)
  expect(store.bytes(at(`${SEGMENT}.json`)).equals(document)).toBe(true)
  expect(await codeOf(writeWal(walRequest(store, bytes(MIB, 2), again), never))).toBe('WAL_CONFLICT')
  const other = { ...segmentPiece, system_id: '42' }
  expect(await codeOf(writeWal(walRequest(store, DATA, { ...again, piece: other }), never))).toBe('WAL_CONFLICT')
  expect((await contentOf(store, SEGMENT)).equals(DATA)).toBe(true)
})

test('content that an attempt left without a document does not stand in the way, nor is it overwritten', async () => {
  const store = new MemoryStore()
  const orphan = at(walFilename(SEGMENT, 1, true))
  store.plant(orphan, Buffer.from('half of something'))
  await writeWal(walRequest(store, DATA), never)
  expect(store.bytes(orphan).toString()).toBe('half of something')
  expect(store.keys()).toContain(at(`${SEGMENT}.2.zst.enc`))
  expect((await contentOf(store, SEGMENT)).equals(DATA)).toBe(true)
})

test('a bit that flips anywhere, in content or document, is found before anything is believed', async () => {
  const store = new MemoryStore()
  await writeWal(walRequest(store, DATA), never)
  for (const key of store.keys()) {
    const whole = store.bytes(key)
    for (let n = 0; n < 60; n++) {
      store.flip(key, Math.floor((n * whole.length) / 60), n % 8)
      expect(await codeOf(contentOf(store, SEGMENT)), `${key}, flip ${n}`).toMatch(
        /^(ARTIFACT_CORRUPT|SIGNER_UNKNOWN)$/,
      )
      store.plant(key, whole)
    }
    store.plant(key, whole.subarray(0, whole.length - 1))
    expect(await codeOf(contentOf(store, SEGMENT))).toBe('ARTIFACT_CORRUPT')
    store.plant(key, whole)
  }
})

test('a document at another name, another source or with another range is refused though it is signed', async () => {
  const store = new MemoryStore()
  await writeWal(walRequest(store, DATA), never)
  const key = walDocumentKey('clinic', SEGMENT)
  const file = store.bytes(key)
  const { body } = parseWalDocument(file, key, RING)
  const next = '000000010000000000000031'
  store.plant(walDocumentKey('clinic', next), file)
  expect(await codeOf(contentOf(store, next))).toBe('ARTIFACT_CORRUPT')
  store.plant(walDocumentKey('desk', SEGMENT), file)
  expect(await codeOf(contentOf(store, SEGMENT, 'desk'))).toBe('ARTIFACT_CORRUPT')
  for (const change of [
    { end_lsn: '0/3200000' },
    { timeline: 2 },
    { kind: 'history' as const },
    { filename: '../../etc/passwd' },
    { filename: `${SEGMENT}.100.zst.enc` },
    { frames: body.frames.slice(1) },
    { system_id: 'x' },
  ]) {
    const read = async () => parseWalDocument(serializeWalDocument({ ...body, ...change }, RING), key, RING)
    expect(await codeOf(read()), JSON.stringify(change)).not.toBe('resolved')
  }
})

test('hostile names are names of nothing', () => {
  for (const name of [
    '..',
    '../x',
    `${SEGMENT}.json`,
    `${SEGMENT}/x`,
    '0000000100000000000000ab',
    `${SEGMENT}.tail`,
    '',
    '00000001',
  ]) {
    expect(() => walDocumentKey('clinic', name)).toThrow(RangeError)
    expect(parseWalDocumentKey(`clinic/wal/00000001/${name}.json`)).toBeNull()
  }
  expect(parseWalDocumentKey(`clinic/wal/00000002/${SEGMENT}.json`)).toBeNull()
  expect(parseWalDocumentKey(`a/b/wal/00000001/${SEGMENT}.json`)).toEqual({ source: 'a/b', name: SEGMENT })
})

test('plain WAL does not go to a store abroad unless that was asked for', async () => {
  const store = new MemoryStore({ capabilities: { remote: true } })
  expect(await codeOf(writeWal(walRequest(store, DATA, { encrypt: false }), never))).toBe('STORE_REFUSES_PLAIN')
  expect(store.keys()).toEqual([])
  await writeWal(walRequest(store, DATA, { encrypt: false, allowPlain: true, id: ID }), never)
})

test('a store that fails in the middle leaves no piece', async () => {
  const store = new MemoryStore({
    before(operation, key) {
      if (operation === 'finish' && key.endsWith('.json')) throw new Error('the power went')
    },
  })
  await expect(writeWal(walRequest(store, DATA), never)).rejects.toThrow('the power went')
  expect(await codeOf(contentOf(store, SEGMENT))).toBe('STORE_NOT_FOUND')
})

test('a store that takes content and refuses documents for a while is not filled with orphans, and the piece gets there', async () => {
  let refused = 12
  const store = new MemoryStore({
    before(operation, key) {
      if (operation === 'finish' && key.endsWith('.json') && refused-- > 0)
        throw new SalvorError('STORE_UNREACHABLE', { store: 'memory', reason: 'away' })
    },
  })
  const unfinished = new Map()
  const tries = async (more: Parameters<typeof walRequest>[2]): Promise<number> => {
    for (let n = 1; ; n++) if ((await codeOf(writeWal(walRequest(store, DATA, more), never))) === 'resolved') return n
  }
  expect(await tries({ unfinished })).toBe(13)
  expect(store.keys()).toEqual([at(`${SEGMENT}.json`), at(`${SEGMENT}.zst.enc`)])
  expect((await contentOf(store, SEGMENT)).equals(DATA)).toBe(true)
  // Workers that are killed again and again remember nothing: each leaves its content, and the next finds a name.
  refused = 12
  expect(await tries({ piece: tailPiece, content: () => [DATA.subarray(0, 4096)] })).toBe(13)
  expect((await contentOf(store, tailPiece.name)).equals(DATA.subarray(0, 4096))).toBe(true)
  expect(store.keys()).toContain(at(`${tailPiece.name}.13.zst.enc`))
})

test('a tail that is gone is read from the longer piece that took its place, and from no other', async () => {
  const store = new MemoryStore()
  const long = { ...tailPiece, name: tailName(SEGMENT, 0x3002000n), end_lsn: '0/3002000' }
  await writeWal(walRequest(store, DATA, { piece: long, content: () => [DATA.subarray(0, 8192)] }), never)
  const read = async (name: string, start_lsn: string): Promise<Buffer> => {
    const chunks: Uint8Array[] = []
    const wanted = { store, keyring: RING, source: 'clinic', name, start_lsn, document_sha256: 'ab'.repeat(32) }
    for await (const chunk of readReplacedWal(wanted, never)) chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks)
  }
  const middle = tailName(SEGMENT, 0x3001800n)
  expect((await read(middle, '0/3000800')).equals(DATA.subarray(0x800, 0x1800))).toBe(true)
  expect(await codeOf(read(tailName(SEGMENT, 0x3002100n), '0/3000800'))).toBe('STORE_NOT_FOUND')
  expect(await codeOf(read(tailName('000000010000000000000031', 0x3101000n), '0/3100000'))).toBe('STORE_NOT_FOUND')
  await writeWal(walRequest(store, DATA), never)
  expect((await read(tailName(SEGMENT, 0x3010000n), '0/3001234')).equals(DATA.subarray(0x1234, 0x10000))).toBe(true)
})
