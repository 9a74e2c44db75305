import { createHash, randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { zstdCompressSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { LinkLost } from '../protocol/server-error.ts'
import { ArchiveDecoder } from './archive-decoder.ts'

const PLAIN = Buffer.concat([randomBytes(700_000), Buffer.alloc(3_000_000, 'patient '), randomBytes(300_001)])
const FRAME = zstdCompressSync(PLAIN)

async function feed(decoder: ArchiveDecoder, bytes: Buffer): Promise<void> {
  // The link uses its buffer again once a part is taken.
  const buffer = Buffer.alloc(64 * 1024)
  for (let at = 0; at < bytes.length; at += buffer.length) {
    const count = bytes.copy(buffer, 0, at)
    await decoder.write(buffer.subarray(0, count))
    buffer.fill(0)
  }
  await decoder.end()
}

test('what a server compressed comes out as it was, no faster than it is taken', async () => {
  const hash = createHash('sha256')
  let [open, most] = [0, 0]
  using decoder = new ArchiveDecoder(async (part) => {
    most = Math.max(most, ++open)
    await turn()
    hash.update(part)
    part.fill(0)
    open--
  })
  await feed(decoder, FRAME)
  expect(hash.digest('hex')).toBe(createHash('sha256').update(PLAIN).digest('hex'))
  expect(most).toBe(1)
})

test('a frame that is cut short or damaged is a broken link, and never a shorter archive', async () => {
  const damaged = Buffer.from(FRAME)
  damaged.fill(0xff, 4, 40)
  for (const bytes of [FRAME.subarray(0, -1), FRAME.subarray(0, 70_000), damaged, Buffer.from('no frame at all')]) {
    using decoder = new ArchiveDecoder(() => undefined)
    await expect(feed(decoder, bytes)).rejects.toThrow(LinkLost)
  }
})

test('what the taker throws is what the sender hears', async () => {
  using decoder = new ArchiveDecoder(() => {
    throw new RangeError('the disk is full')
  })
  await expect(feed(decoder, FRAME)).rejects.toThrow('the disk is full')
})
