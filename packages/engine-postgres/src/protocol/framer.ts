import { TYPE } from './messages.ts'
import { LinkLost } from './server-error.ts'

/** A promise: hand over nothing more until it resolves. */
export type Room = Promise<void> | undefined

export interface MessageReceiver {
  /** A whole message other than CopyData. `body` is valid during the call only. */
  message(type: number, body: Buffer): void
  /** A part of a CopyData body, in order; `first` and `last` mark the message's bounds. Valid until the result resolves. */
  copyData(part: Buffer, first: boolean, last: boolean): Room
}

/** No message but CopyData is ever this long; a peer that claims one is not a PostgreSQL server. */
const LONGEST_MESSAGE = 16 * 1024 * 1024
const HEAD = 5

/** Cuts a byte stream into protocol messages. CopyData is handed on in place, as sub-ranges of the chunks it came in. */
export class Framer {
  readonly #receiver: MessageReceiver
  readonly #head = Buffer.alloc(HEAD)
  #headFilled = 0
  #type = 0
  /** Bytes of the present body that are still to come. */
  #left = 0
  #inBody = false
  #first = false
  #body: Buffer | null = null
  #bodyFilled = 0
  #chunk: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(receiver: MessageReceiver) {
    this.#receiver = receiver
  }

  /** Takes the next bytes; they must stay as they are until the result resolves. */
  push(chunk: Buffer): Room {
    this.#chunk = chunk
    this.#at = 0
    return this.#run()
  }

  #run(): Room {
    while (this.#at < this.#chunk.length || (this.#inBody && this.#left === 0)) {
      const room = this.#inBody ? this.#takeBody() : this.#takeHead()
      if (room) return room.then(() => this.#run())
    }
    return undefined
  }

  #takeHead(): Room {
    const count = Math.min(HEAD - this.#headFilled, this.#chunk.length - this.#at)
    this.#chunk.copy(this.#head, this.#headFilled, this.#at, this.#at + count)
    this.#headFilled += count
    this.#at += count
    if (this.#headFilled < HEAD) return undefined
    this.#headFilled = 0
    this.#type = this.#head[0]!
    this.#left = this.#head.readInt32BE(1) - 4
    const limit = this.#type === TYPE.copyData ? 0x40000000 : LONGEST_MESSAGE
    if (this.#left < 0 || this.#left > limit) throw new LinkLost('a message with an impossible length')
    this.#inBody = true
    this.#first = true
    return undefined
  }

  #takeBody(): Room {
    const end = Math.min(this.#at + this.#left, this.#chunk.length)
    const part = this.#chunk.subarray(this.#at, end)
    this.#left -= end - this.#at
    this.#at = end
    const last = this.#left === 0
    if (last) this.#inBody = false
    if (this.#type === TYPE.copyData) {
      const first = this.#first
      this.#first = false
      return this.#receiver.copyData(part, first, last)
    }
    this.#gather(part, last)
    return undefined
  }

  #gather(part: Buffer, last: boolean): void {
    if (last && this.#body === null) {
      this.#receiver.message(this.#type, part)
      return
    }
    this.#body ??= Buffer.alloc(part.length + this.#left)
    this.#bodyFilled += part.copy(this.#body, this.#bodyFilled)
    if (!last) return
    const body = this.#body
    this.#body = null
    this.#bodyFilled = 0
    this.#receiver.message(this.#type, body)
  }
}
