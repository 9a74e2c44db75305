import type { Room } from '../protocol/framer.ts'
import type { Exchange, Link, Row } from '../protocol/link.ts'
import { dataRow, TYPE } from '../protocol/messages.ts'
import { LinkLost } from '../protocol/server-error.ts'
import { KEEPALIVE, keepalive, WAL_HEADER, walHeader, type Keepalive, type WalHeader } from './messages.ts'

export interface WalTaker {
  /** Where the next bytes must begin. */
  readonly position: bigint
  heard(header: WalHeader, bytes: number): void
  take(bytes: Uint8Array): Promise<void>
  alive(message: Keepalive): void
}

/** Takes the answer to START_REPLICATION apart. */
export class WalExchange implements Exchange {
  /** Next timeline and where it begins, when the present one ended. */
  next: Row | null = null
  /** The server has sent an answer: the position was accepted. */
  started = false
  readonly #link: Link
  readonly #taker: WalTaker
  readonly #header = Buffer.alloc(WAL_HEADER)
  #filled = 0
  #wanted = 0

  constructor(link: Link, taker: WalTaker) {
    this.#link = link
    this.#taker = taker
  }

  message(type: number, body: Buffer): void {
    if (type === TYPE.copyBoth) this.started = true
    else if (type === TYPE.copyDone) this.#link.endCopy()
    else if (type === TYPE.dataRow) this.next = dataRow(body)
    else if (type !== TYPE.rowDescription && type !== TYPE.commandComplete)
      throw new LinkLost('an unexpected message in the WAL stream')
  }

  copyData(part: Buffer, first: boolean, last: boolean): Room {
    if (first) {
      this.#filled = 0
      this.#wanted = part[0] === 0x77 ? WAL_HEADER : part[0] === 0x6b ? KEEPALIVE : 0
      if (this.#wanted === 0) throw new LinkLost('an unknown part of the WAL stream')
    }
    const count = Math.min(this.#wanted - this.#filled, part.length)
    part.copy(this.#header, this.#filled, 0, count)
    this.#filled += count
    if (this.#filled < this.#wanted) {
      if (last) throw new LinkLost('a message of the WAL stream that is too short')
      return undefined
    }
    if (this.#wanted === KEEPALIVE) {
      if (count > 0) this.#taker.alive(keepalive(this.#header))
      return undefined
    }
    const bytes = part.subarray(count)
    if (count > 0) this.#begin(bytes.length)
    return bytes.length > 0 ? this.#taker.take(bytes) : undefined
  }

  #begin(bytes: number): void {
    const header = walHeader(this.#header)
    if (header.start !== this.#taker.position) throw new LinkLost('the WAL stream skipped some bytes')
    this.#taker.heard(header, bytes)
  }
}
