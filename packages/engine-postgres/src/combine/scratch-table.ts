import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { NameTable } from '../incremental/name-table.ts'

/** A file of which some pages are still to be found in older backups. */
export interface WaitingFile {
  /** A byte string below the data folder. */
  readonly name: string
  /** Pages below this number come from older backups; what is beyond came, or is zeros. */
  readonly wanted: number
  /** A bit for each wanted page: it came. */
  readonly came: Uint8Array
  /** Some page of it came. */
  readonly some: boolean
}

const FIXED = 8

/**
 * The waiting files of a chain, in a scratch file: with a bit for each page, and a million files, they are too much for
 * memory. Record: uint16 length of the name, state (0 waits, 1 waits and has pages, 2 done), 0, uint32 wanted, name, bits.
 */
export class ScratchTable implements Disposable {
  readonly #file: number
  readonly #names = new NameTable()
  #end = 0
  /** Files that wait. */
  waiting = 0

  constructor(path: string) {
    this.#file = openSync(path, 'wx+', 0o600)
  }

  /** `pages` are in place already. False: the name is there already. */
  add(name: string, wanted: number, pages: Uint32Array): boolean {
    if (this.#offsetOf(name) !== null) return false
    const record = Buffer.alloc(FIXED + name.length + Math.ceil(wanted / 8))
    record.writeUInt16LE(name.length, 0)
    record[2] = pages.length > 0 ? 1 : 0
    record.writeUInt32LE(wanted, 4)
    record.write(name, FIXED, 'latin1')
    const bits = record.subarray(FIXED + name.length)
    for (const page of pages) if (page < wanted) bits[page >> 3]! |= 1 << (page & 7)
    this.#write(record, this.#end)
    this.#names.add(name, this.#end)
    this.#end += record.length
    this.waiting++
    return true
  }

  /** Null: nothing of this file is waited for. */
  find(name: string): WaitingFile | null {
    const at = this.#offsetOf(name)
    if (at === null) return null
    const head = this.#read(at, FIXED)
    if (head[2] === 2) return null
    const wanted = head.readUInt32LE(4)
    const came = this.#read(at + FIXED + name.length, Math.ceil(wanted / 8))
    return { name, wanted, came, some: head[2] === 1 }
  }

  /** More pages came. */
  update({ name, came }: WaitingFile): void {
    const at = this.#offsetOf(name)!
    this.#write(Buffer.from([1]), at + 2)
    this.#write(came, at + FIXED + name.length)
  }

  /** All pages came that there are. */
  done({ name }: WaitingFile): void {
    this.#write(Buffer.from([2]), this.#offsetOf(name)! + 2)
    this.waiting--
  }

  /** A file that still waits, for messages. */
  first(): string | null {
    for (let at = 0; at < this.#end;) {
      const head = this.#read(at, FIXED)
      const length = head.readUInt16LE(0)
      if (head[2] !== 2) return this.#read(at + FIXED, length).toString('latin1')
      at += FIXED + length + Math.ceil(head.readUInt32LE(4) / 8)
    }
    return null
  }

  #offsetOf(name: string): number | null {
    return this.#names.find(name, (at) => {
      const { length } = name
      if (at + FIXED + length > this.#end) return false
      const record = this.#read(at, FIXED + length)
      return record.readUInt16LE(0) === length && record.toString('latin1', FIXED) === name
    })
  }

  #read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let filled = 0, count; filled < length; filled += count) {
      count = readSync(this.#file, bytes, filled, length - filled, at + filled)
      if (count === 0) throw new RangeError('a scratch file was cut')
    }
    return bytes
  }

  #write(bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#file, bytes, done, bytes.length - done, at + done)
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}

export const hasPage = (bits: Uint8Array, page: number): boolean => (bits[page >> 3]! & (1 << (page & 7))) !== 0
export const setPage = (bits: Uint8Array, page: number): void => {
  bits[page >> 3]! |= 1 << (page & 7)
}
