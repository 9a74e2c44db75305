import { pack } from 'tar-stream'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeHeader, TarInvalid } from './header.ts'
import { tarParts } from './parts.ts'

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(bytes: Buffer, chunk: number): Promise<[name: string, data: string][]> {
  const members: [string, string][] = []
  let data = ''
  let name = ''
  for await (const part of tarParts(inChunks(bytes, chunk))) {
    if (part.kind === 'member') [name, data] = [part.header.name, '']
    else if (part.kind === 'data') data += part.bytes.toString('latin1')
    else members.push([name, data])
  }
  return members
}

async function packed(members: readonly (readonly [string, string])[]): Promise<Buffer> {
  const archive = pack()
  for (const [name, data] of members) archive.entry({ name }, data)
  archive.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of archive) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

test('what another program packed comes out alike, in chunks of any size', async () => {
  const members = [
    ['a', ''],
    ['base/1/1259', 'x'.repeat(8192)],
    [`${'d'.repeat(90)}/${'f'.repeat(90)}`, 'long name'],
    ['odd', 'y'.repeat(513)],
  ] as const
  const archive = await packed(members)
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: archive.length }), async (chunk) => {
      expect(await read(archive, chunk)).toEqual(members)
    }),
    { numRuns: 30 },
  )
})

test('an archive that is cut short anywhere is not taken for a whole one', async () => {
  const archive = await packed([['file', 'z'.repeat(700)]])
  const end = archive.length - 1024
  for (const length of [0, 100, 512, 700, end - 1, end]) {
    await expect(read(archive.subarray(0, length), 64)).rejects.toThrow(TarInvalid)
  }
})

test('something behind the end is refused', async () => {
  const archive = Buffer.concat([
    await packed([['file', 'z']]),
    makeHeader({ name: 'hidden', type: 'file', size: 0, mtime: 0, uid: 0, gid: 0 }),
  ])
  await expect(read(archive, 512)).rejects.toThrow('behind the end')
})
