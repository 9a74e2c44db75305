import { expect, test } from 'vitest'
import { type BlockReference, BlockReferences } from './block-references.ts'

const SEGMENT = 1 << 20
const LOCATION = Buffer.from(Uint32Array.of(1663, 16_400, 16_500).buffer)

const number = (block: number): Buffer => Buffer.from(Uint32Array.of(block).buffer)
/** Header of a block: `image` are the bytes of its image's header. */
const part = (id: number, flags: number, block: number, image: number[] = [], location = LOCATION): Buffer =>
  Buffer.concat([
    Buffer.from([id, flags, 0, 0]),
    Buffer.from(image),
    flags & 0x80 ? Buffer.alloc(0) : location,
    number(block),
  ])

/** A segment's first page with one record of these parts. */
function walOf(...parts: Buffer[]): Buffer {
  const body = Buffer.concat([...parts, Buffer.from([255, 3, 1, 2, 3])])
  const page = Buffer.alloc(8192)
  page.writeUInt32LE(24 + body.length, 40)
  page[40 + 17] = 10
  body.copy(page, 64)
  return page
}

function told(magic: number, ...parts: Buffer[]): BlockReference[] {
  const found: BlockReference[] = []
  new BlockReferences(0n, SEGMENT, magic, (reference) => found.push(reference)).push(walOf(...parts))
  return found
}

const page = { tablespace: 1663, database: 16_400, relation: 16_500, fork: 0 }

test('pages that a record neither brings nor makes anew are told, of the relation of the block before where none is named', () => {
  expect(told(0xd110, part(0, 0x00, 7), part(1, 0x80 | 0x02, 8), part(2, 0x40, 9))).toEqual([
    { ...page, block: 7 },
    { ...page, fork: 2, block: 8 },
  ])
})

test.each([
  [0xd10d, 0x04, 0x03],
  [0xd110, 0x02, 0x05],
])('an image counts where it is applied (pages %i)', (magic, applied, compressedWithHole) => {
  const image = (info: number): number[] => [0, 1, 0, 2, info, ...((info & 3) === 3 || (info & 5) === 5 ? [9, 9] : [])]
  expect(told(magic, part(0, 0x10, 1, image(applied)), part(1, 0x80, 2))).toEqual([{ ...page, block: 2 }])
  expect(told(magic, part(0, 0x10, 1, image(compressedWithHole)), part(1, 0x80, 2))).toEqual([
    { ...page, block: 1 },
    { ...page, block: 2 },
  ])
})
