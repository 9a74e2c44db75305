import { createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { Address } from '../connect/address.ts'
import { parseServers, type Servers } from '../connect/servers.ts'
import { Link } from './link.ts'

// Servers that are not what they say, at the other end of a real socket.

const never = new AbortController().signal
const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([head, body])
}
const authentication = (code: number, rest = ''): Buffer => {
  const body = Buffer.alloc(4)
  body.writeInt32BE(code)
  return message('R', Buffer.concat([body, Buffer.from(rest, 'latin1')]))
}
const READY = message('Z', Buffer.from('I'))

/** Answers the first bytes of each client with `answers[0]`, the next with `answers[1]`, … */
async function impostor(answers: readonly Buffer[]): Promise<{ at: (options?: string) => Address } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined))
    let turn = 0
    socket.on('data', () => {
      const answer = answers[turn++]
      if (answer) socket.write(answer)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    at: (options = 'sslmode=disable') =>
      (parseServers(`postgres://u:secret@127.0.0.1:${port}/db?connect_timeout=2&${options}`) as Servers).addresses[0]!,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('a server that lets one in without finishing SCRAM is refused', async () => {
  await using early = await impostor([
    authentication(10, 'SCRAM-SHA-256\0\0'),
    Buffer.concat([authentication(0), READY]),
  ])
  await expect(Link.open(early.at(), 'replication', never)).rejects.toThrow('broke off the SCRAM login')
})

test('bytes in clear before the handshake are taken for an attack', async () => {
  await using injecting = await impostor([Buffer.concat([Buffer.from('S'), authentication(0), READY])])
  await expect(Link.open(injecting.at('sslmode=require'), 'replication', never)).rejects.toThrow('bytes in clear')
})

test('a refusal of TLS is a refusal where TLS is demanded', async () => {
  await using plain = await impostor([Buffer.from('N')])
  await expect(Link.open(plain.at('sslmode=verify-full'), 'replication', never)).rejects.toThrow('does not speak TLS')
  await expect(Link.open(plain.at('sslmode=require'), 'replication', never)).rejects.toThrow('does not speak TLS')
})

test('a server that says nothing is left after connect_timeout', async () => {
  await using silent = await impostor([])
  await expect(Link.open(silent.at(), 'replication', never)).rejects.toThrow('no answer within 2 s')
  await expect(Link.open(silent.at('sslmode=require'), 'replication', never)).rejects.toThrow('no answer within 2 s')
})

test('an abort ends the wait at once, with its own reason', async () => {
  await using silent = await impostor([])
  const abort = new AbortController()
  const opening = Link.open(silent.at(), 'replication', abort.signal)
  setTimeout(() => abort.abort(new Error('enough')), 20)
  await expect(opening).rejects.toThrow('enough')
})

test('answers that nobody asked for, and ones that are no answers, end the link', async () => {
  for (const [answer, reason] of [
    [message('d', Buffer.from('data')), 'data that nobody asked for'],
    [message('H', Buffer.from([0, 0, 0])), 'unexpected message'],
    [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'impossible length'],
    [message('D', Buffer.from([0, 1, 0, 0, 0, 9, 65])), 'without a description'],
  ] as const) {
    await using odd = await impostor([Buffer.concat([authentication(0), READY]), answer])
    await using link = await Link.open(odd.at(), 'replication', never)
    await expect(link.rows('IDENTIFY_SYSTEM', 5000, never)).rejects.toThrow(reason)
  }
})

test('a command that gets no answer ends after its deadline', async () => {
  await using silent = await impostor([Buffer.concat([authentication(0), READY])])
  await using link = await Link.open(silent.at(), 'sql', never)
  await expect(link.rows('SELECT 1', 400, never)).rejects.toThrow('no answer')
})

test('the password is not sent to a server that asks for it in clear or as MD5', async () => {
  await using clear = await impostor([authentication(3)])
  await expect(Link.open(clear.at(), 'replication', never)).rejects.toThrow('in clear')
  await using old = await impostor([authentication(5, 'salt')])
  await expect(Link.open(old.at(), 'replication', never)).rejects.toThrow('MD5')
})
