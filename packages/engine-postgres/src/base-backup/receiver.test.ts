import { expect, test } from 'vitest'
import { Framer } from '../protocol/framer.ts'
import { LinkLost } from '../protocol/server-error.ts'
import { BaseBackupReceiver, type BaseBackupParts } from './receiver.ts'

// The answers to BASE_BACKUP as servers of both kinds send them, cut at every byte.

const message = (type: string, body: string | Buffer): Buffer => {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(4 + bytes.length, 1)
  return Buffer.concat([head, bytes])
}
function row(...columns: (string | null)[]): Buffer {
  const parts = [Buffer.from([0, columns.length])]
  for (const column of columns) {
    const length = Buffer.alloc(4)
    length.writeInt32BE(column === null ? -1 : column.length)
    parts.push(length, Buffer.from(column ?? ''))
  }
  return message('D', Buffer.concat(parts))
}
const START = [message('T', ''), row('0/2000028', '1'), message('C', 'SELECT\0')]
const SPACES = [
  message('T', ''),
  row('16400', '/srv/fast', '11111'),
  row(null, null, '22222'),
  message('C', 'SELECT\0'),
]
const STOP = [message('T', ''), row('0/2000100', '1'), message('C', 'SELECT\0'), message('C', 'BASE_BACKUP\0')]
const MODERN = [
  ...START,
  ...SPACES,
  message('H', '\0\0\0'),
  message('d', 'n16400.tar\0/srv/fast\0'),
  message('d', 'dfast'),
  message('d', 'nbase.tar\0\0'),
  message('d', 'dfirst '),
  message('d', 'p\0\0\0\0\0\0\0\u0007'),
  message('d', 'dsecond'),
  message('d', 'm'),
  message('d', 'd{ manifest }'),
  message('c', ''),
  ...STOP,
]
const CLASSIC = [
  ...START,
  ...SPACES,
  message('H', '\0\0\0'),
  message('d', 'fast'),
  message('c', ''),
  message('H', '\0\0\0'),
  message('d', 'first '),
  message('d', 'second'),
  message('c', ''),
  message('H', '\0\0\0'),
  message('d', '{ manifest }'),
  message('c', ''),
  ...STOP,
]

async function receive(stream: Buffer, cut: number, major: number): Promise<string[]> {
  const told: string[] = []
  let archive = ''
  let manifest = ''
  const parts: BaseBackupParts = {
    started: (lsn, timeline) => void told.push(`from ${lsn} on ${timeline}`),
    tablespaces: (rows) => void told.push(`spaces ${rows.length}`),
    archiveBegins: (row) => void (archive += `[${row}]`),
    archive: (part) => void (archive += part.toString('latin1')),
    manifest: (part) => void (manifest += part.toString('latin1')),
    stopped: (lsn, timeline) => void told.push(archive, manifest, `to ${lsn} on ${timeline}`),
  }
  const receiver = new BaseBackupReceiver(parts, major)
  const framer = new Framer({
    message: (type, body) => receiver.message(type, body),
    copyData: (part, first, last) => receiver.copyData(part, first, last),
  })
  await framer.push(stream.subarray(0, cut))
  await framer.push(stream.subarray(cut))
  return told
}

test.each([
  ['13 and 14', 14, CLASSIC],
  ['15 and later', 17, MODERN],
])('the answer of PostgreSQL %s is taken apart wherever it is cut', async (_name, major, messages) => {
  const stream = Buffer.concat(messages)
  for (let cut = 0; cut <= stream.length; cut++) {
    expect(await receive(stream, cut, major)).toEqual([
      'from 0/2000028 on 1',
      'spaces 2',
      '[0]fast[1]first second',
      '{ manifest }',
      'to 0/2000100 on 1',
    ])
  }
})

test('an archive of no tablespace, data before one and unknown parts are refused', async () => {
  const before = Buffer.concat([...START, ...SPACES, message('H', '\0\0\0')])
  for (const parts of [
    [message('d', 'dtoo early')],
    [message('d', 'nbase.tar\0\0')],
    [message('d', 'n16400.tar\0\0'), message('d', 'n16401.tar\0\0')],
    [message('d', 'n16400.tar\0\0'), message('d', 'nbase.tar\0\0'), message('d', 'nbase.tar\0\0')],
    [message('d', 'm'), message('d', 'n16400.tar\0\0')],
    [message('d', '?what')],
    [message('d', '')],
  ]) {
    const stream = Buffer.concat([before, ...parts])
    await expect(receive(stream, stream.length, 17)).rejects.toThrow(LinkLost)
  }
})

test.each([
  ['none for the data folder', [row('16400', '/srv/fast', '1')]],
  ['an oid that leads elsewhere', [row('../16400', '/srv/fast', '1'), row(null, null, '1')]],
  ['none at all', []],
])('tablespaces with %s are refused', async (_what, rows) => {
  const stream = Buffer.concat([...START, message('T', ''), ...rows, message('C', 'SELECT\0')])
  await expect(receive(stream, stream.length, 17)).rejects.toThrow(LinkLost)
})
