import { connect, type OnReadOpts, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Room } from './framer.ts'
import { LinkLost } from './server-error.ts'

/** What the bytes of a wire go to. */
export interface WireReceiver {
  /** The chunk is overwritten once the result has resolved. A throw or rejection cuts the wire. */
  bytes(chunk: Buffer): Room
  /** Called once, whatever ended the wire. */
  closed(error: Error): void
}

const READ_BUFFER = 256 * 1024
const KEEPALIVE_AFTER_MS = 15_000

/** A socket that hands over bytes as fast as they are taken, and not faster. */
export class Wire {
  readonly socket: Socket
  /** Bytes that came; moves while the server lives. */
  received = 0
  /** The other side is not asked for more, because what came is not taken yet. */
  paused = false
  readonly #receiver: WireReceiver
  #failure: Error | null = null
  #closed = false

  private constructor(socket: Socket, receiver: WireReceiver) {
    this.socket = socket
    this.#receiver = receiver
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#failure ??= new LinkLost(error.code ?? 'the connection broke', error)
    })
    socket.once('end', () => socket.destroy())
    socket.once('close', () => this.#close())
  }

  /** A plain connection, read into one reused buffer. Resolves when it stands. */
  static plain(place: { host: string; port: number }, receiver: WireReceiver): Wire {
    const buffer = Buffer.allocUnsafeSlow(READ_BUFFER)
    let wire: Wire | null = null
    const onread: OnReadOpts = { buffer, callback: (count) => wire!.#take(buffer.subarray(0, count)) }
    const socket = place.host.startsWith('/')
      ? connect({ path: socketPath(place), onread })
      : connect({ ...place, onread })
    wire = new Wire(socket, receiver)
    keepAlive(socket)
    return wire
  }

  static secure(socket: TLSSocket, receiver: WireReceiver): Wire {
    const wire = new Wire(socket, receiver)
    socket.on('data', (chunk: Buffer) => {
      if (!wire.#take(chunk)) socket.pause()
    })
    return wire
  }

  send(bytes: Buffer): void {
    if (!this.#closed) this.socket.write(bytes)
  }

  /** Resolves when no more is waiting to be sent than a socket may hold, or the wire is gone. */
  async drained(): Promise<void> {
    while (!this.#closed && this.socket.writableNeedDrain) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.socket.once('drain', resolve).once('close', resolve)
      await promise
      this.socket.off('drain', resolve).off('close', resolve)
    }
  }

  /** Resolves when the other side has closed, or after `milliseconds`. */
  async ended(milliseconds: number): Promise<void> {
    if (this.#closed) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, milliseconds)
    this.socket.once('close', resolve)
    await promise
    clearTimeout(timer)
  }

  destroy(reason?: Error): void {
    this.#failure ??= reason ?? null
    this.socket.destroy()
  }

  #take(chunk: Buffer): boolean {
    this.received += chunk.length
    try {
      const room = this.#receiver.bytes(chunk)
      if (room === undefined) return true
      this.paused = true
      this.#waitFor(room)
      return false
    } catch (error) {
      this.destroy(asError(error))
      return false
    }
  }

  #waitFor(room: Promise<void>): void {
    const resume = (): void => {
      this.paused = false
      this.socket.resume()
    }
    room.then(resume, (error: unknown) => this.destroy(asError(error)))
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#receiver.closed(this.#failure ?? new LinkLost('the server closed the connection'))
  }
}

/** libpq's name of a Unix socket. */
export const socketPath = (place: { host: string; port: number }): string => `${place.host}/.s.PGSQL.${place.port}`

export function keepAlive(socket: Socket): void {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, KEEPALIVE_AFTER_MS)
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new LinkLost('the answer could not be taken', thrown)
}
