import * as fc from 'fast-check'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Framer, type MessageReceiver, type Room } from './framer.ts'
import { LinkLost } from './server-error.ts'

type Seen = [type: string, body: string]

/** Gathers what a framer makes of a stream; `room` is what each part of CopyData answers. */
class Gathering implements MessageReceiver {
  readonly seen: Seen[] = []
  readonly #room: () => Room
  #copy = ''

  constructor(room: () => Room = () => undefined) {
    this.#room = room
  }
  message(type: number, body: Buffer): void {
    this.seen.push([String.fromCharCode(type), body.toString('latin1')])
  }
  copyData(part: Buffer, first: boolean, last: boolean): Room {
    if (first) this.#copy = ''
    this.#copy += part.toString('latin1')
    if (last) this.seen.push(['d', this.#copy])
    return this.#room()
  }
}

function encoded([type, body]: Seen): Buffer {
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([head, Buffer.from(body, 'latin1')])
}

const MESSAGES: Seen[] = [
  ['T', 'row'],
  ['d', 'n-base.tar'],
  ['d', ''],
  ['N', 'notice in the middle'],
  ['d', 'x'.repeat(300)],
  ['c', ''],
  ['Z', 'I'],
]

test('messages come out alike wherever the stream is cut', async () => {
  const stream = Buffer.concat(MESSAGES.map(encoded))
  for (let cut = 0; cut <= stream.length; cut++) {
    const receiver = new Gathering()
    const framer = new Framer(receiver)
    await framer.push(stream.subarray(0, cut))
    await framer.push(stream.subarray(cut))
    expect(receiver.seen).toEqual(MESSAGES)
  }
})

test('any messages come out of any chunks, one by one while room is waited for', async () => {
  const message = fc.tuple(
    fc.constantFrom('T', 'D', 'd', 'C', 'N'),
    fc.string({ maxLength: 40, unit: 'grapheme-ascii' }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(message), fc.array(fc.integer({ min: 1, max: 50 })), async (messages, cuts) => {
      const stream = Buffer.concat(messages.map(encoded))
      let busy = false
      const receiver = new Gathering(() => {
        if (busy) throw new Error('a part came before there was room')
        busy = true
        return setImmediate().then(() => void (busy = false))
      })
      const framer = new Framer(receiver)
      let at = 0
      for (const cut of [...cuts, stream.length]) {
        await framer.push(stream.subarray(at, at + cut))
        at += cut
      }
      expect(receiver.seen).toEqual(messages)
    }),
  )
})

test('a peer that is not a PostgreSQL server is not waited for', () => {
  const framer = new Framer(new Gathering())
  expect(() => framer.push(Buffer.from('HTTP/1.1 400 Bad Request\r\n'))).toThrow(LinkLost)
  const negative = Buffer.from([0x44, 0xff, 0xff, 0xff, 0xff])
  expect(() => new Framer(new Gathering()).push(negative)).toThrow(LinkLost)
})
