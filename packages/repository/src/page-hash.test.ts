import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import wabt from 'wabt'
import { bytes } from './backup.fixture.ts'
import { PAGE_HASH_MODULE } from './page-hash-module.ts'
import { PAGE_DIGEST_BYTES, pageKey, PageHasher } from './page-hash.ts'

const M64 = (1n << 64n) - 1n
const M32 = 0xffff_ffffn

/** Section 15 of docs/format.md, word for word. */
function plainly(page: Buffer, salt: Uint8Array): Buffer {
  const key = Buffer.from(pageKey(salt, page.length))
  const word = (from: Buffer, n: number): bigint => BigInt(from.readUInt32LE(4 * n))
  const x = [0, 1, 2, 3].flatMap((t) => {
    let sum = 0n
    for (let i = 0; i < page.length / 4; i += 8) {
      for (let j = i; j < i + 4; j += 1) {
        const [k, l] = [word(key, 4 * t + j), word(key, 4 * t + j + 4)]
        sum += ((word(page, j) + k) & M32) * ((word(page, j + 4) + l) & M32)
      }
    }
    return [sum & M32, (sum & M64) >> 32n]
  })
  const digest = Buffer.alloc(PAGE_DIGEST_BYTES)
  for (let s = 0; s < 4; s += 1) {
    const factor = (j: number): bigint => key.readBigUInt64LE(page.length + 64 + 72 * s + 8 * j)
    const sum = x.reduce((all, value, j) => all + value * factor(j), factor(8))
    digest.writeUInt32LE(Number((sum & M64) >> 32n), 4 * s)
  }
  return digest
}

function digestsOf(pages: Buffer, salt: Uint8Array, pageSize: number): Buffer {
  const hasher = new PageHasher(salt, pageSize)
  hasher.piece.set(pages)
  return Buffer.from(hasher.digest(pages.length))
}

test('the module is what its source says', async () => {
  const tools = await wabt()
  const source = readFileSync(new URL('page-hash.wat', import.meta.url), 'utf8')
  const { buffer } = tools.parseWat('page-hash.wat', source, { simd: true, threads: true }).toBinary({})
  expect(PAGE_HASH_MODULE).toBe(Buffer.from(buffer).toString('base64'))
})

test('digests are those of the format, for every size of pages', () => {
  const salt = bytes(16, 7)
  for (let size = 512; size <= 65_536; size *= 2) {
    const pages = bytes(3 * size, size)
    pages.fill(0xff, 2 * size)
    const wanted = [0, 1, 2].map((n) => plainly(pages.subarray(n * size, (n + 1) * size), salt))
    expect(digestsOf(pages, salt, size).equals(Buffer.concat(wanted))).toBe(true)
  }
})

test('digests stay what they were: stores hold them', () => {
  const salt = Uint8Array.from({ length: 16 }, (_, n) => n)
  const page = Buffer.from(Uint8Array.from({ length: 4096 }, (_, n) => n ^ (n >> 8)))
  expect(digestsOf(page, salt, 4096).toString('hex')).toBe('0d644f335f3e92af41304be39fdff9e9')
  expect(digestsOf(Buffer.alloc(512), salt, 512).toString('hex')).toBe('518c858ed6136333a627f3a121998b9f')
})

test('a change of a bit anywhere, or of the salt, changes both halves of a digest', () => {
  const salt = bytes(16, 7)
  const page = bytes(4096)
  const before = digestsOf(page, salt, 4096)
  const differs = (after: Buffer): boolean => [0, 8].every((at) => before.compare(after, at, at + 8, at, at + 8) !== 0)
  const place = fc.record({ byte: fc.nat(4095), bit: fc.nat(7) })
  fc.assert(
    fc.property(place, ({ byte, bit }) => {
      const changed = Buffer.from(page)
      changed[byte]! ^= 1 << bit
      return differs(digestsOf(changed, salt, 4096))
    }),
  )
  expect(differs(digestsOf(page, bytes(16, 8), 4096))).toBe(true)
})
