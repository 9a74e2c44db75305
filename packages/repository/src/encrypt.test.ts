import { expect, test } from 'vitest'
import { bytes } from './backup.fixture.ts'
import { IV_BYTES, newDataKey, SegmentOpener, SegmentCipher } from './encrypt.ts'

test('the tag of a segment is accepted for the bytes it was made for, and for no others', () => {
  for (const lengths of [[0], [1], [15], [16], [17], [4096], [70_001], [5, 11], [1, 0, 15, 300_000, 7]]) {
    const key = newDataKey()
    const given = Buffer.from(bytes(IV_BYTES))
    const cipher = new SegmentCipher(key, given)
    const stored = lengths.map((length) => Buffer.from(bytes(length)))
    for (const piece of stored) cipher.encrypt(piece)
    const tag = cipher.tag()
    const accepts = (
      pieces: readonly Uint8Array[],
      under: Uint8Array = key,
      iv: Uint8Array = given,
      wanted: Uint8Array = tag,
    ): boolean => {
      const opener = new SegmentOpener(under, iv)
      for (const piece of pieces) opener.open(piece, Buffer.alloc(piece.length))
      return opener.accepts(wanted)
    }
    const whole = Buffer.concat(stored)
    expect([accepts(stored), accepts([whole])]).toEqual([true, true])
    expect(accepts([...stored, Buffer.alloc(1)])).toBe(false)
    expect(accepts(stored, newDataKey())).toBe(false)
    expect(accepts(stored, key, flipped(given, 3))).toBe(false)
    for (const at of [0, 15]) expect(accepts(stored, key, given, flipped(tag, at))).toBe(false)
    if (whole.length === 0) continue
    expect(accepts([whole.subarray(1)])).toBe(false)
    expect(accepts([flipped(whole, whole.length - 1)])).toBe(false)
    expect(accepts([flipped(whole, 0)])).toBe(false)
  }
})

function flipped(whole: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(whole)
  copy[at]! ^= 1
  return copy
}
