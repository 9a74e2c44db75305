import { expect, test } from 'vitest'
import { headerLike, makeHeader, parseHeader, TarInvalid } from '../tar/header.ts'
import { ArchiveTail } from './archive-tail.ts'

const file = (name: string, text: string): Buffer => {
  const facts = { type: 'file', mtime: 1_700_000_000, uid: 26, gid: 26 } as const
  const data = Buffer.alloc(Math.ceil(text.length / 512) * 512)
  data.write(text)
  return Buffer.concat([makeHeader({ name, size: text.length, ...facts }), data])
}
const members = Buffer.concat([
  file('backup_label', 'START WAL LOCATION'),
  makeHeader({ name: 'base/', type: 'directory', size: 0, mtime: 0, uid: 26, gid: 26 }),
  // Zeros inside of a member are no end.
  file('base/1', '\0'.repeat(1024)),
  file('empty', ''),
  file('global/pg_control', 'x'.repeat(513)),
])
const archive = Buffer.concat([members, Buffer.alloc(1024)])

test('all members and nothing of the end come out, wherever the stream is cut', async () => {
  for (let cut = 0; cut <= archive.length; cut += cut < 2048 || cut > archive.length - 1600 ? 1 : 97) {
    const out: Buffer[] = []
    const seen: string[] = []
    const tail = new ArchiveTail(
      (part) => void out.push(Buffer.from(part)),
      ({ name }) => seen.push(name),
    )
    await tail.write(archive.subarray(0, cut))
    expect(tail.isComplete(15)).toBe(cut >= archive.length - 512)
    await tail.write(archive.subarray(cut))
    expect(tail.isComplete(15)).toBe(true)
    expect(Buffer.concat(out).equals(members)).toBe(true)
    expect(seen).toEqual(['backup_label', 'base/', 'base/1', 'empty', 'global/pg_control'])
  }
})

test('servers before 15 leave the end to the client', async () => {
  const tail = new ArchiveTail(
    () => undefined,
    () => undefined,
  )
  expect(tail.isComplete(14)).toBe(false)
  await tail.write(members)
  expect([tail.isComplete(14), tail.isComplete(15)]).toEqual([true, false])
  await tail.write(members.subarray(0, 600))
  expect(tail.isComplete(14)).toBe(false)
})

test('the last member looks like the others', async () => {
  const tail = new ArchiveTail(
    () => undefined,
    () => undefined,
  )
  await tail.write(archive)
  const header = headerLike(tail.template!, 'backup_manifest', 12_345, 1_700_000_001)
  expect(parseHeader(header)).toMatchObject({ name: 'backup_manifest', type: 'file', size: 12_345 })
  expect(header.toString('latin1', 108, 115)).toBe('000003'.padEnd(6) + header.toString('latin1', 114, 115))
})

test('sizes beyond octal are written and read', () => {
  const size = 9 * 1024 ** 3
  expect(parseHeader(makeHeader({ name: 'big', type: 'file', size, mtime: 0, uid: 0, gid: 0 })).size).toBe(size)
})

test('a stream that is no tar is refused', () => {
  const tail = new ArchiveTail(
    () => undefined,
    () => undefined,
  )
  expect(() => tail.write(Buffer.alloc(512, 1))).toThrow(TarInvalid)
})
