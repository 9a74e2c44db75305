import {
  createServer,
  request as ask,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http'
import { connect, type Socket } from 'node:net'
import { Transform, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface RequestSeen {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** What one request meets. Offsets count bytes of a body from 0. */
export type RequestFault =
  /** Answered here; the server never hears of it. */
  | { readonly kind: 'answer'; readonly status: number; readonly body?: string }
  /** Carried out, and then the answer is withheld: the connection is reset, or stays silent. */
  | { readonly kind: 'withhold'; readonly silent?: boolean }
  /** Never carried out, never answered. */
  | { readonly kind: 'swallow' }
  | { readonly kind: 'drop-header'; readonly name: string }
  | { readonly kind: 'flip'; readonly body: 'request' | 'response'; readonly at: number }
  /** The connection is reset after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly body: 'request' | 'response'; readonly after: number }
  /** The answer claims to be so short, and is. */
  | { readonly kind: 'shorten'; readonly to: number }
  | { readonly kind: 'delay'; readonly ms: number }
  /** The answer's body is another one; its status stays. */
  | { readonly kind: 'replace'; readonly body: string }

interface Waiting {
  readonly fault: RequestFault
  readonly when: (request: RequestSeen) => boolean
  left: number
}

/** The half of the proxy that understands HTTP: sits on a port of its own behind the line's faults. */
export class HttpFaults {
  readonly requests: RequestSeen[] = []
  readonly #host: string
  readonly #port: number
  #waiting: Waiting[] = []
  readonly #server = createServer({ keepAliveTimeout: 60_000 })
  readonly #listening: Promise<number>

  constructor(host: string, port: number) {
    this.#host = host
    this.#port = port
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch(() => response.destroy())
    }
    this.#server.on('request', serve)
    this.#server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      response.writeContinue()
      serve(request, response)
    })
    this.#listening = new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(0, '127.0.0.1', () => resolve((this.#server.address() as { port: number }).port))
    })
  }

  /** A connection to this half, as the line's other end. */
  connect(): Socket {
    const { port } = this.#server.address() as { port: number }
    return connect(port, '127.0.0.1')
  }

  async ready(): Promise<void> {
    await this.#listening
  }

  next(fault: RequestFault, times: number, when: (request: RequestSeen) => boolean): void {
    this.#waiting.push({ fault, when, left: times })
  }

  heal(): void {
    this.#waiting = []
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #met(seen: RequestSeen): RequestFault | null {
    const waiting = this.#waiting.find((entry) => entry.left > 0 && entry.when(seen))
    if (waiting === undefined) return null
    waiting.left--
    return waiting.fault
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const seen = { method: request.method ?? '', path: request.url ?? '', headers: request.headers }
    this.requests.push(seen)
    const fault = this.#met(seen)
    if (fault?.kind === 'swallow') return void request.resume()
    if (fault?.kind === 'answer') return answer(request, response, fault.status, fault.body)
    if (fault?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, fault.ms))
    const reply = await this.#forward(request, fault)
    if (fault?.kind === 'withhold') return withhold(reply, response, fault.silent === true)
    await giveBack(reply, response, fault)
  }

  #forward(request: IncomingMessage, fault: RequestFault | null): Promise<IncomingMessage> {
    const headers = pairs(request.rawHeaders).filter(([name]) => !/^(expect|connection)$/i.test(name))
    const { socket } = request
    return new Promise((resolve, reject) => {
      const onward = ask({
        host: this.#host,
        port: this.#port,
        method: request.method,
        path: request.url,
        // As it came, order and case included: signatures cover it.
        headers: headers.flat(),
        setHost: false,
        agent: false,
      })
      let answered = false
      onward.on('response', (reply) => {
        answered = true
        resolve(reply)
      })
      onward.on('error', reject)
      const change = changeOf(fault, 'request')
      pipeline(change === null ? [request, onward] : [request, change, onward]).catch(() => {
        if (answered) return
        socket.resetAndDestroy()
        onward.destroy(new Error('cut'))
      })
    })
  }
}

async function giveBack(reply: IncomingMessage, response: ServerResponse, fault: RequestFault | null): Promise<void> {
  let headers = pairs(reply.rawHeaders).filter(([name]) => !/^(connection|keep-alive|transfer-encoding)$/i.test(name))
  const without = (name: string): void =>
    void (headers = headers.filter(([held]) => held.toLowerCase() !== name.toLowerCase()))
  if (fault?.kind === 'drop-header') without(fault.name)
  if (fault?.kind === 'replace') {
    reply.resume()
    without('content-length')
    return void response.writeHead(reply.statusCode ?? 500, grouped(headers)).end(fault.body)
  }
  if (fault?.kind === 'shorten') {
    without('content-length')
    headers.push(['content-length', String(fault.to)])
  }
  response.writeHead(reply.statusCode ?? 500, grouped(headers))
  const change = changeOf(fault, 'response')
  await pipeline(change === null ? [reply, response] : [reply, change, response]).catch(() =>
    response.socket?.resetAndDestroy(),
  )
}

function answer(request: IncomingMessage, response: ServerResponse, status: number, body?: string): void {
  const code = status === 503 ? 'SlowDown' : 'InternalError'
  const text = body ?? `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>.</Message></Error>`
  request.resume()
  request.on('end', () =>
    response.writeHead(status, { 'content-type': 'application/xml' }).end(request.method === 'HEAD' ? '' : text),
  )
}

function withhold(reply: IncomingMessage, response: ServerResponse, silent: boolean): void {
  reply.resume()
  reply.on('end', () => !silent && response.socket?.resetAndDestroy())
}

function changeOf(fault: RequestFault | null, body: 'request' | 'response'): Transform | null {
  if (fault?.kind === 'flip' && fault.body === body) return new Change((piece, at) => flipped(piece, fault.at - at))
  if (fault?.kind === 'cut' && fault.body === body) {
    return new Change((piece, at) =>
      at + piece.length > fault.after
        ? { piece: piece.subarray(0, fault.after - at), ends: new Error('cut') }
        : { piece },
    )
  }
  if (fault?.kind === 'shorten' && body === 'response')
    return new Change((piece, at) => ({ piece: piece.subarray(0, Math.max(0, fault.to - at)) }))
  return null
}

function flipped(piece: Buffer, at: number): { piece: Buffer } {
  if (at < 0 || at >= piece.length) return { piece }
  const changed = Buffer.from(piece)
  changed[at] = changed[at]! ^ 1
  return { piece: changed }
}

/** Passes a body on, changed by where in it a piece lies. */
class Change extends Transform {
  #at = 0
  readonly #change: (piece: Buffer, at: number) => { piece: Buffer; ends?: Error }

  constructor(change: (piece: Buffer, at: number) => { piece: Buffer; ends?: Error }) {
    super()
    this.#change = change
  }
  override _transform(piece: Buffer, _encoding: string, done: TransformCallback): void {
    const { piece: changed, ends } = this.#change(piece, this.#at)
    this.#at += piece.length
    if (changed.length > 0) this.push(changed)
    // The bytes before the cut have left before the connection is reset.
    if (ends === undefined) done()
    else setTimeout(() => done(ends), 50)
  }
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, n) => [raw[2 * n]!, raw[2 * n + 1]!])
}

function grouped(headers: readonly (readonly [string, string])[]): OutgoingHttpHeaders {
  const all: Record<string, string[]> = {}
  for (const [name, value] of headers) (all[name] ??= []).push(value)
  return all
}
