import { createServer, connect, type Socket } from 'node:net'
import { HttpFaults, type RequestFault, type RequestSeen } from './fault-proxy-http.ts'

export type { RequestFault, RequestSeen }

/** What happens to the bytes of every connection, the open ones included, until it is changed. */
export interface LineFault {
  /** Neither side hears anything any more, and nothing is closed: a cable that was pulled. */
  readonly halfOpen?: boolean
  /** Each piece arrives so much later. */
  readonly delayMs?: number
  /** The connection is reset after so many bytes from the client, or from the server. */
  readonly resetAfter?: { readonly up?: number; readonly down?: number }
}

export interface FaultProxy extends AsyncDisposable {
  readonly host: '127.0.0.1'
  readonly port: number
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** Bytes from clients, and to clients; connections and HTTP requests, so far. */
  readonly seen: { up: number; down: number; connections: number; readonly requests: readonly RequestSeen[] }
  /** Replaces the fault of the line; without one it is healthy again. */
  line(fault?: LineFault): void
  /** The next `times` requests that `when` picks meet the fault (HTTP only). Faults are met in the order they were set. */
  next(
    fault: RequestFault,
    options?: { readonly times?: number; readonly when?: (request: RequestSeen) => boolean },
  ): void
  /** No request meets a fault any more, and the line is healthy. */
  heal(): void
  /** Resets every open connection. */
  cut(): void
  /** New connections are refused; open ones are reset. `up` listens on the same port again. */
  down(): Promise<void>
  up(): Promise<void>
  stop(): Promise<void>
}

export interface FaultProxyOptions {
  /** http: requests are understood, and `next` works. tcp (default): bytes only. */
  readonly speaks?: 'tcp' | 'http'
}

/** A proxy on a free loopback port that harms what passes, on command. `target`: a URL, or host and port. */
export async function startFaultProxy(
  target: string | URL | { readonly host: string; readonly port: number },
  options: FaultProxyOptions = {},
): Promise<FaultProxy> {
  const { host, port } =
    typeof target === 'object' && 'port' in target && !(target instanceof URL) ? target : placeOf(new URL(target))
  const http = options.speaks === 'http' ? new HttpFaults(host, port) : null
  await http?.ready()
  const proxy = new Proxy(host, port, http)
  await proxy.up()
  return proxy
}

function placeOf(url: URL): { host: string; port: number } {
  const known: Readonly<Record<string, number>> = {
    'http:': 80,
    'postgres:': 5432,
    'postgresql:': 5432,
    'redis:': 6379,
  }
  return { host: url.hostname, port: url.port === '' ? (known[url.protocol] ?? 0) : Number(url.port) }
}

class Proxy implements FaultProxy {
  readonly host = '127.0.0.1'
  readonly seen: { up: number; down: number; connections: number; readonly requests: RequestSeen[] }
  port = 0
  readonly #targetHost: string
  readonly #targetPort: number
  readonly #http: HttpFaults | null
  readonly #open = new Set<Socket>()
  #fault: LineFault = {}
  #server: ReturnType<typeof createServer> | null = null

  constructor(host: string, port: number, http: HttpFaults | null) {
    this.#targetHost = host
    this.#targetPort = port
    this.#http = http
    this.seen = { up: 0, down: 0, connections: 0, requests: http?.requests ?? [] }
  }
  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  line(fault: LineFault = {}): void {
    this.#fault = fault
  }

  next(
    fault: RequestFault,
    options: { readonly times?: number; readonly when?: (request: RequestSeen) => boolean } = {},
  ): void {
    if (this.#http === null) throw new Error('this proxy speaks tcp: it sees no requests')
    this.#http.next(fault, options.times ?? 1, options.when ?? (() => true))
  }

  heal(): void {
    this.#fault = {}
    this.#http?.heal()
  }

  cut(): void {
    for (const socket of this.#open) socket.resetAndDestroy()
  }

  async down(): Promise<void> {
    const server = this.#server
    this.#server = null
    this.cut()
    if (server !== null) await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  async up(): Promise<void> {
    if (this.#server !== null) return
    const server = createServer({ allowHalfOpen: false }, (client) => this.#accept(client))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.port, '127.0.0.1', resolve)
    })
    this.port = (server.address() as { port: number }).port
    this.#server = server
  }

  async stop(): Promise<void> {
    await this.down()
    await this.#http?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #accept(client: Socket): void {
    this.seen.connections++
    this.#follow(client)
    const behind = this.#http === null ? connect(this.#targetPort, this.#targetHost) : this.#http.connect()
    this.#follow(behind)
    this.#carry(client, behind, 'up')
    this.#carry(behind, client, 'down')
  }

  #follow(socket: Socket): void {
    this.#open.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => this.#open.delete(socket))
  }

  /** One direction. The fault is looked at for each piece, so that it can be switched while bytes flow. */
  #carry(from: Socket, to: Socket, way: 'up' | 'down'): void {
    let passed = 0
    let last: Promise<void> = Promise.resolve()
    from.on('data', (piece) => {
      if (this.#fault.halfOpen === true) return
      from.pause()
      const room = this.#room(passed, way)
      last = last.then(() => this.#pass(piece, to, room, way)).finally(() => from.resume())
      passed += piece.length
      if (passed > this.#limit(way)) last = last.then(() => reset(from, to))
    })
    const ended = (how: (socket: Socket) => void): void => {
      last = last.finally(() => {
        if (this.#fault.halfOpen !== true) how(to)
      })
    }
    from.on('end', () => ended((socket) => socket.end()))
    from.on('error', () => ended((socket) => socket.resetAndDestroy()))
    from.on('close', () => ended((socket) => socket.destroySoon()))
  }

  #limit(way: 'up' | 'down'): number {
    return this.#fault.resetAfter?.[way] ?? Infinity
  }

  #room(passed: number, way: 'up' | 'down'): number {
    return Math.max(0, this.#limit(way) - passed)
  }

  async #pass(piece: Buffer, to: Socket, room: number, way: 'up' | 'down'): Promise<void> {
    const { delayMs } = this.#fault
    if (delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, delayMs))
    const part = piece.subarray(0, room)
    if (part.length === 0 || to.destroyed) return
    this.seen[way] += part.length
    if (!to.write(part))
      await new Promise<void>((resolve) => {
        to.once('drain', resolve)
        to.once('close', () => resolve())
      })
  }
}

function reset(...sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.resetAndDestroy()
}
