import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { echo, web } from './echo-servers.ts'
import { startFaultProxy } from './fault-proxy.ts'

/** What a client hears until the connection ends: the text, and how it ended. */
function talk(port: number, text: string, waitMs = 300): Promise<{ heard: string; how: string }> {
  return new Promise((resolve) => {
    let heard = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    const end = (how: string): void => {
      socket.destroy()
      resolve({ heard, how })
    }
    socket.on('data', (piece) => {
      heard += piece.toString()
      if (heard.length >= text.length) end('whole')
    })
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'error'))
    socket.on('close', () => end('closed'))
    setTimeout(() => end('silence'), waitMs)
  })
}

const send = (url: string, body: string): Promise<Response> =>
  fetch(url, { method: 'PUT', body, headers: { connection: 'close' } })

test('a healthy line carries both ways', async () => {
  await using server = await echo()
  await using proxy = await startFaultProxy({ host: '127.0.0.1', port: server.port })
  expect(await talk(proxy.port, 'x'.repeat(300_000), 5000)).toMatchObject({ how: 'whole' })
  expect(proxy.seen).toMatchObject({ up: 300_000, down: 300_000, connections: 1 })
})

test('the line can be half open, slow, reset after some bytes, down and up again', async () => {
  await using server = await echo()
  await using proxy = await startFaultProxy(new URL(`redis://127.0.0.1:${server.port}`))
  proxy.line({ halfOpen: true })
  expect(await talk(proxy.port, 'hello')).toEqual({ heard: '', how: 'silence' })
  proxy.line({ delayMs: 120 })
  const began = performance.now()
  expect(await talk(proxy.port, 'hello', 2000)).toEqual({ heard: 'hello', how: 'whole' })
  expect(performance.now() - began).toBeGreaterThan(200)
  proxy.line({ resetAfter: { down: 3 } })
  expect(await talk(proxy.port, 'hello', 2000)).toEqual({ heard: 'hel', how: 'ECONNRESET' })
  proxy.line()
  await proxy.down()
  expect(await talk(proxy.port, 'hello')).toMatchObject({ how: 'ECONNREFUSED' })
  await proxy.up()
  expect(await talk(proxy.port, 'hello')).toMatchObject({ how: 'whole' })
})

test('open connections can be cut', async () => {
  await using server = await echo()
  await using proxy = await startFaultProxy({ host: '127.0.0.1', port: server.port })
  proxy.line({ halfOpen: true })
  const talking = talk(proxy.port, 'hello', 3000)
  await sleep(50)
  proxy.cut()
  expect((await talking).how).toBe('ECONNRESET')
})

test('requests meet their faults in order, and then pass', async () => {
  await using server = await web()
  await using proxy = await startFaultProxy(server.url, { speaks: 'http' })
  proxy.next({ kind: 'answer', status: 503 }, { times: 2 })
  proxy.next({ kind: 'flip', body: 'request', at: 1 })
  proxy.next({ kind: 'flip', body: 'response', at: 0 })
  proxy.next({ kind: 'drop-header', name: 'X-Sum' })
  expect((await send(proxy.url, 'abc')).status).toBe(503)
  expect(await (await send(proxy.url, 'abc')).text()).toContain('SlowDown')
  expect(server.bodies).toEqual([])
  expect(await (await send(proxy.url, 'abc')).text()).toBe('acc')
  expect(await (await send(proxy.url, 'abc')).text()).toBe('`bc')
  expect((await send(proxy.url, 'abc')).headers.get('x-sum')).toBeNull()
  const healthy = await send(proxy.url, 'abc')
  expect([await healthy.text(), healthy.headers.get('x-sum')]).toEqual(['abc', '3'])
  expect(proxy.seen.requests).toHaveLength(6)
})

test('an answer can be withheld after the server did its work, and bodies can be cut', async () => {
  await using server = await web()
  await using proxy = await startFaultProxy(server.url, { speaks: 'http' })
  proxy.next({ kind: 'withhold' }, { when: (request) => request.method === 'PUT' })
  expect(await (await fetch(proxy.url)).text()).toBe('')
  await expect(send(proxy.url, 'abc')).rejects.toThrow(Error)
  expect(server.bodies).toEqual(['', 'abc'])
  proxy.next({ kind: 'cut', body: 'response', after: 2 })
  await expect(send(proxy.url, 'abc').then((reply) => reply.text())).rejects.toThrow(Error)
  proxy.next({ kind: 'cut', body: 'request', after: 2 })
  await expect(send(proxy.url, 'abc')).rejects.toThrow(Error)
  expect(server.bodies).toEqual(['', 'abc', 'abc'])
  proxy.next({ kind: 'shorten', to: 1 })
  expect(await (await send(proxy.url, 'abc')).text()).toBe('a')
  proxy.next({ kind: 'swallow' })
  await expect(fetch(proxy.url, { signal: AbortSignal.timeout(200) })).rejects.toThrow(Error)
})
