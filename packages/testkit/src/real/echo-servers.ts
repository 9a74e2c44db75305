import { createServer as createHttp, type Server } from 'node:http'
import { createServer, type AddressInfo, type Socket } from 'node:net'

export interface EchoServer extends AsyncDisposable {
  readonly port: number
}
export interface WebServer extends AsyncDisposable {
  readonly url: string
  /** Of the requests so far. */
  readonly bodies: readonly string[]
}

/** Answers with what it hears. */
export async function echo(): Promise<EchoServer> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = async (): Promise<void> => {
    for (const socket of open) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: stop }
}

/** Answers a request with its body, and counts. */
export async function web(): Promise<WebServer> {
  const bodies: string[] = []
  const server: Server = createHttp((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      bodies.push(body)
      response.setHeader('x-sum', body.length)
      response.end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies, [Symbol.asyncDispose]: stop }
}
