import type { ChangePiece, CompactedPiece } from '@salvor/shared/vocabulary/change-set'
import type { MemoryStore } from '@salvor/testkit/fakes/memory-store'
import { bytes, ID, never, RING, TIME } from './backup.fixture.ts'
import { changeDocumentKey } from './change-layout.ts'
import { sha256 } from './hash.ts'
import { writeChanges } from './write-changes.ts'

/** Pages of a database of 9, as docs/format.md section 12 has them. */
function pagesContent(pages: ReadonlyMap<number, Buffer>): Buffer {
  const head = '{"format":"salvor-pages","version":1,"page_size":512,"page_count":9,"salt":""}\n'
  const groups = [...pages].flatMap(([page, image]) => {
    const numbers = Buffer.alloc(8)
    numbers.writeUInt32BE(1, 0)
    numbers.writeUInt32BE(page, 4)
    return [numbers, image]
  })
  return Buffer.concat([Buffer.from(head), ...groups, Buffer.alloc(4)])
}

const COUNTS = { page_size: 512, page_count: 9 }
const SCAN = {
  base: ID,
  method: 'scan',
  stands_on: 'base',
  previous: null,
  lost: null,
  ...COUNTS,
  from_at: '2025-11-27T20:39:00.000000Z',
  to_at: '2025-11-27T20:39:30.294774Z',
  state_sha256: 'cd'.repeat(32),
  position: null,
} as const
const LOG = {
  base: ID,
  method: 'log',
  stands_on: 'previous',
  lost: null,
  ...COUNTS,
  from_at: '2025-11-27T20:39:40.000000Z',
  to_at: '2025-11-27T20:39:41.000001Z',
  state_sha256: null,
  position: 'wal 4711 00112233445566ff 12 1 4294967295',
} as const

/** Writes sets one after another into a store, and lists what they hold. */
function writer(store: MemoryStore) {
  const content: Record<string, string> = {}
  const rules = { store, keyring: RING, allowPlain: false, level: 1, source: 'clinic', id: ID }
  const write = async (
    described: Omit<ChangePiece | CompactedPiece, 'pages'>,
    images: readonly (readonly [page: number, seed: number])[],
    encrypt: boolean,
  ): Promise<string> => {
    const plain = pagesContent(new Map(images.map(([page, seed]) => [page, bytes(512, seed)])))
    const piece = { ...described, pages: images.length }
    const common = { ...rules, timestamp: TIME, tool_version: '0.1.0', content: () => [plain] }
    const { base, name, document_sha256 } = await writeChanges({ ...common, encrypt, piece }, never)
    content[changeDocumentKey({ source: 'clinic', base, name })] = sha256(plain)
    return document_sha256
  }
  return { content, write }
}

/** A set on the base, and one behind it; gives the digest of the plain bytes by the key of the document. */
export async function writeChain(store: MemoryStore): Promise<Record<string, string>> {
  const { content, write } = writer(store)
  const images = [[2, 2] as const, [7, 7] as const]
  const previous = await write(SCAN, images, true)
  await write({ ...LOG, previous }, images, false)
  return content
}

/** A set on the base, two behind it, and these two as one; gives the same. */
export async function writeCompacted(store: MemoryStore): Promise<Record<string, string>> {
  const { content, write } = writer(store)
  const scanned = await write(SCAN, [[2, 2] as const], true)
  const first = { ...LOG, previous: scanned }
  const images = [[2, 3] as const, [7, 7] as const]
  const previous = await write(first, images, true)
  const instants = { from_at: '2025-11-27T20:39:41.500000Z', to_at: '2025-11-27T20:39:42.000002Z' }
  const last = { ...LOG, ...instants, previous, position: 'wal 4711 00112233445566ff 14 1 4294967295' }
  const brings_state_of = await write(last, [[7, 8] as const, [9, 9] as const], true)
  const whole = { ...last, from_at: first.from_at, previous: first.previous, brings_state_of }
  await write(whole, [[2, 3] as const, [7, 8] as const, [9, 9] as const], true)
  return content
}
