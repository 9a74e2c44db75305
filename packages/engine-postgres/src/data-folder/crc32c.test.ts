import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c, crcHex } from './crc32c.ts'

function bitByBit(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

test('the sum is the published one', () => {
  expect(crc32c(Buffer.from('123456789')).toString(16)).toBe('e3069283')
  expect(crc32c(new Uint8Array(0))).toBe(0)
  expect(crcHex(0xe3069283)).toBe('839206e3')
})

test('any bytes, however aligned and cut, have the sum that the polynomial gives', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), fc.nat(7), (bytes, cut, shift) => {
      const shifted = new Uint8Array(bytes.length + shift).subarray(shift)
      shifted.set(bytes)
      expect(crc32c(shifted)).toBe(bitByBit(bytes))
      expect(crc32c(shifted.subarray(cut), crc32c(shifted.subarray(0, cut)))).toBe(bitByBit(bytes))
    }),
  )
})
