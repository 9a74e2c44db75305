/** The running checksum of a write-ahead log: over its header, then over the first 8 bytes and the page of each frame. */
export interface Checksum {
  readonly a: number
  readonly b: number
}

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/** Adds bytes whose number is a multiple of 8; `bigEndian`: how the log says that its words are to be read. */
export function addedTo({ a, b }: Checksum, bytes: Buffer, bigEndian: boolean): Checksum {
  let [x, y] = [a | 0, b | 0]
  if (bigEndian !== LITTLE_ENDIAN && bytes.byteOffset % 4 === 0) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
    for (let i = 0; i < words.length; i += 2) {
      x = (x + words[i]! + y) | 0
      y = (y + words[i + 1]! + x) | 0
    }
    return { a: x >>> 0, b: y >>> 0 }
  }
  const read = (at: number): number => (bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at))
  for (let at = 0; at < bytes.length; at += 8) {
    x = (x + read(at) + y) | 0
    y = (y + read(at + 4) + x) | 0
  }
  return { a: x >>> 0, b: y >>> 0 }
}
