import { crc32c } from '../data-folder/crc32c.ts'

const BLOCK = 8192
const SHORT_HEADER = 24
const LONG_HEADER = 40
const CONTINUES = 0x0001
const RECORD_HEADER = 24
const PREVIOUS_AT = 8
/** Of a record's header, what its CRC covers after the rest of the record. */
const CRC_AT = 20
const LONGEST_RECORD = 0x3fff_ffff

/**
 * Finds how far a WAL holds that begins at a segment's first byte and was cut off somewhere, perhaps by a loss of power: each record
 * by its CRC, each page by its address. The end of a record that began in the segment before is believed by its pages alone.
 */
export class CheckedRecords {
  /** Everything before it holds. */
  end: bigint
  #position: number
  readonly #segmentSize: number
  readonly #page = Buffer.alloc(LONG_HEADER)
  readonly #header = Buffer.alloc(RECORD_HEADER)
  #filled = 0
  /** Bytes of the record at hand that are still to come. */
  #left = 0
  #crc = 0
  /** Bytes that are believed: padding, and the end of a record of the segment before. */
  #skip = 0
  /** Where the last record began; null: in the segment before. */
  #last: bigint | null = null
  #began = 0n
  #begun = false
  #broken = false

  constructor(start: bigint, segmentSize: number) {
    this.end = start
    this.#position = Number(start)
    this.#segmentSize = segmentSize
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && !this.#broken;) {
      const inPage = this.#position % BLOCK
      const header = this.#position % this.#segmentSize < BLOCK ? LONG_HEADER : SHORT_HEADER
      const room = Math.min(chunk.length - at, (inPage < header ? header : BLOCK) - inPage)
      const count = inPage < header ? room : Math.min(room, this.#wanted)
      const part = chunk.subarray(at, at + count)
      this.#position += count
      at += count
      if (inPage < header) this.#inHeader(part, inPage, header)
      else this.#inBody(part)
    }
  }

  get #wanted(): number {
    return this.#skip || this.#left || RECORD_HEADER - this.#filled
  }

  #inHeader(part: Uint8Array, inPage: number, header: number): void {
    this.#page.set(part, inPage)
    if (inPage + part.length < header) return
    const address = this.#page.readBigUInt64LE(8)
    this.#broken = address !== BigInt(this.#position - header)
    if (this.#begun) return
    this.#begun = true
    if (this.#page.readUInt16LE(2) & CONTINUES) this.#skip = aligned(this.#page.readUInt32LE(16))
  }

  #inBody(part: Uint8Array): void {
    if (this.#skip > 0) {
      this.#skip -= part.length
      if (this.#skip === 0) this.end = BigInt(this.#position)
    } else if (this.#left > 0) {
      this.#crc = crc32c(part, this.#crc)
      this.#left -= part.length
      if (this.#left === 0) this.#close()
    } else {
      if (this.#filled === 0) this.#began = BigInt(this.#position - part.length)
      this.#header.set(part, this.#filled)
      this.#filled += part.length
      if (this.#filled === RECORD_HEADER) this.#open()
    }
  }

  #open(): void {
    const length = this.#header.readUInt32LE(0)
    // Each record names the one before it: what lies behind may be of an earlier stream.
    const follows = this.#last === null || this.#header.readBigUInt64LE(PREVIOUS_AT) === this.#last
    this.#broken = length < RECORD_HEADER || length > LONGEST_RECORD || !follows
    this.#left = length - RECORD_HEADER
    this.#crc = 0
    if (this.#left === 0 && !this.#broken) this.#close()
  }

  #close(): void {
    const crc = crc32c(this.#header.subarray(0, CRC_AT), this.#crc)
    this.#broken = crc !== this.#header.readUInt32LE(CRC_AT)
    if (this.#broken) return
    const length = this.#header.readUInt32LE(0)
    this.end = BigInt(this.#position)
    this.#last = this.#began
    this.#filled = 0
    this.#skip = aligned(length) - length
  }
}

const aligned = (length: number): number => Math.ceil(length / 8) * 8
