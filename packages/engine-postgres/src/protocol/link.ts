import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import type { Address } from '../connect/address.ts'
import { Framer, type MessageReceiver, type Room } from './framer.ts'
import { IdleWatch } from './idle-watch.ts'
import { copyData, copyDone, columnNames, dataRow, query, startup, strings, terminate, TYPE } from './messages.ts'
import { LinkLost, serverError, type ServerError } from './server-error.ts'
import { Authentication } from './startup.ts'
import { openTls } from './tls.ts'
import { Wire } from './wire.ts'

export type Row = readonly (string | null)[]

/** What one command's answer goes to, message by message. Errors, notices and parameters are kept by the link. */
export interface Exchange {
  message(type: number, body: Buffer): void
  copyData?(part: Buffer, first: boolean, last: boolean): Room
}

interface Pending {
  readonly exchange: Exchange
  failure: ServerError | null
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** `replication` takes replication commands and SHOW, `sql` takes SQL. */
export type LinkMode = 'replication' | 'sql'
/** Settings of the session, by name; they win over the ones that every link has. */
export type LinkSettings = Readonly<Record<string, string>>
type Parameters = Readonly<Record<string, string>>

const parametersOf = (address: Address, mode: LinkMode): Parameters => ({
  user: address.user,
  ...(mode === 'replication' ? { replication: 'true' } : { database: address.database }),
  application_name: 'salvor',
  client_encoding: 'UTF8',
})

const MOST_NOTICES = 100
const GOODBYE_MS = 2000

/** One connection to a server. One command at a time. */
export class Link implements AsyncDisposable, MessageReceiver {
  readonly parameters = new Map<string, string>()
  readonly address: Address
  /** Notices and warnings so far, the first hundred. */
  readonly notices: ServerError[] = []
  /** Process of the server at the other end: a number that nobody else there has now. */
  backendPid = 0
  #wire: Wire | null = null
  #authentication: Authentication | null = null
  #pending: Pending | null = null
  #lost: Error | null = null
  readonly #framer = new Framer(this)

  private constructor(address: Address) {
    this.address = address
  }

  /** Throws TlsRefused, LoginRefused, ScramRefused, ServerError or LinkLost; the connection is gone then. */
  static async open(address: Address, mode: LinkMode, signal: AbortSignal, settings: LinkSettings = {}): Promise<Link> {
    const deadline = AbortSignal.timeout(address.connectSeconds * 1000)
    const link = new Link(address)
    try {
      await link.#start(address, { ...parametersOf(address, mode), ...settings }, AbortSignal.any([signal, deadline]))
      return link
    } catch (error) {
      link.close()
      signal.throwIfAborted()
      if (deadline.aborted) throw new LinkLost(`no answer within ${address.connectSeconds} s`, error)
      throw error
    }
  }

  async #start(address: Address, parameters: Parameters, signal: AbortSignal): Promise<void> {
    const receiver = { bytes: (chunk: Buffer) => this.#framer.push(chunk), closed: (e: Error) => this.#closed(e) }
    const wantsTls = address.sslmode !== 'disable' && !address.host.startsWith('/')
    const tls = wantsTls ? await openTls(address, signal) : null
    this.#wire = tls === null ? Wire.plain(address, receiver) : Wire.secure(tls, receiver)
    if (tls === null) await this.#connected(signal)
    await this.#logIn(address, parameters, tls, signal)
  }

  async #connected(signal: AbortSignal): Promise<void> {
    try {
      await once(this.#wire!.socket, 'connect', { signal })
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      throw signal.aborted || code === undefined ? error : new LinkLost(code, error)
    }
  }

  async #logIn(address: Address, parameters: Parameters, tls: TLSSocket | null, signal: AbortSignal): Promise<void> {
    const authentication = new Authentication({ address, tls, send: (bytes) => this.#wire!.send(bytes) })
    this.#authentication = authentication
    const ready = this.#exchange({ message: (type, body) => this.#loginMessage(type, body) }, null, signal)
    this.#wire!.send(startup(parameters))
    await ready
    await authentication.answered
    if (!authentication.accepted) throw new LinkLost('the server skipped the login')
    this.#authentication = null
  }

  #loginMessage(type: number, body: Buffer): void {
    if (type === TYPE.backendKey) {
      this.backendPid = body.readInt32BE(0)
      return
    }
    const authentication = this.#authentication!
    authentication.message(type, body)
    authentication.answered.catch((error: unknown) => this.#fail(error))
  }

  /** Sends a command and waits until the server is ready for the next. Rejects with the server's first error. */
  async run(command: string, exchange: Exchange, idle: () => number, signal: AbortSignal): Promise<void> {
    const done = this.#exchange(exchange, idle, signal)
    if (this.#lost === null) this.#wire!.send(query(command))
    await done
  }

  /** The client's half of a COPY that goes both ways; dropped when the link is gone. */
  sendCopy(body: Buffer): void {
    if (this.#lost === null) this.#wire?.send(copyData(body))
  }
  endCopy(): void {
    if (this.#lost === null) this.#wire?.send(copyDone())
  }
  /** Resolves when what was sent is with the operating system, or the link is gone. */
  async sent(): Promise<void> {
    if (this.#lost === null) await this.#wire?.drained()
  }

  /** The rows of each statement, at most `most` of each; `count` tells how many there were. */
  async rows(sql: string, idleMs: number, signal: AbortSignal, most = 10_000): Promise<ResultSet[]> {
    const sets: ResultSet[] = []
    const message = (type: number, body: Buffer): void => {
      if (type === TYPE.rowDescription) sets.push({ columns: columnNames(body), rows: [], count: 0 })
      else if (type === TYPE.dataRow) addRow(sets.at(-1), body, most)
      else if (type !== TYPE.commandComplete && type !== TYPE.emptyQuery) {
        throw new LinkLost('an unexpected message in the answer')
      }
    }
    await this.run(sql, { message }, () => idleMs, signal)
    return sets
  }

  async #exchange(exchange: Exchange, idle: (() => number) | null, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#lost !== null) throw this.#lost
    if (this.#pending !== null) throw new Error('a link takes one command at a time')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#pending = { exchange, failure: null, resolve, reject }
    const abort = () => this.#fail(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const watch = idle === null ? null : new IdleWatch(this.#wire!, idle)
    try {
      await promise
    } finally {
      watch?.[Symbol.dispose]()
      this.#pending = null
      signal.removeEventListener('abort', abort)
    }
  }

  message(type: number, body: Buffer): void {
    const pending = this.#pending
    if (type === TYPE.notice) {
      if (this.notices.length < MOST_NOTICES) this.notices.push(serverError(body))
    } else if (type === TYPE.parameter) {
      const [name, value] = strings(body)
      this.parameters.set(name ?? '', value ?? '')
    } else if (type === TYPE.error) {
      if (pending) pending.failure ??= serverError(body)
      if (this.#authentication !== null && pending) this.#fail(pending.failure)
      else if (!pending) this.#fail(serverError(body))
    } else if (type === TYPE.ready) {
      if (pending?.failure) pending.reject(pending.failure)
      else pending?.resolve()
    } else if (type !== TYPE.notification) {
      if (!pending) throw new LinkLost('a message that nobody asked for')
      if (!pending.failure) pending.exchange.message(type, body)
    }
  }

  copyData(part: Buffer, first: boolean, last: boolean): Room {
    const pending = this.#pending
    if (!pending?.exchange.copyData) throw new LinkLost('data that nobody asked for')
    return pending.failure ? undefined : pending.exchange.copyData(part, first, last)
  }

  #fail(reason: unknown): void {
    this.#lost ??= reason instanceof Error ? reason : new LinkLost('aborted', reason)
    this.#pending?.reject(reason)
    this.#wire?.destroy()
  }

  #closed(error: Error): void {
    this.#lost ??= error
    this.#pending?.reject(this.#pending.failure ?? error)
  }

  /** Cuts the link at once. */
  close(): void {
    this.#fail(new LinkLost('the link was closed'))
  }

  /** Says goodbye, and waits until the server has freed what the link held there: its slot, its place among the senders. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lost === null && this.#wire !== null && this.#pending === null) {
      this.#wire.send(terminate())
      await this.#wire.ended(GOODBYE_MS)
    }
    this.close()
  }
}

export interface ResultSet {
  readonly columns: readonly string[]
  readonly rows: Row[]
  count: number
}

function addRow(set: ResultSet | undefined, body: Buffer, most: number): void {
  if (set === undefined) throw new LinkLost('a row without a description')
  if (set.count++ < most) set.rows.push(dataRow(body))
}
