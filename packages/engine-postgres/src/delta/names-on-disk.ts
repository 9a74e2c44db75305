import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { NameTable } from '../incremental/name-table.ts'

const HEAD = 3
const GATHERED = 64 * 1024

/** Names with a flag each, in a scratch file: a million of them are too much for memory. Byte strings. */
export class NamesOnDisk implements Disposable {
  readonly #file: number
  readonly #table = new NameTable()
  #end = 0
  #held: Buffer[] = []
  #heldBytes = 0

  constructor(path: string) {
    this.#file = openSync(path, 'wx+', 0o600)
  }

  /** A name that is there already keeps its flag. */
  add(name: string, flag: boolean): void {
    if (this.flag(name) !== null) return
    const record = Buffer.alloc(HEAD + name.length)
    record.writeUInt16LE(name.length, 0)
    record[2] = flag ? 1 : 0
    record.write(name, HEAD, 'latin1')
    this.#table.add(name, this.#end)
    this.#held.push(record)
    this.#end += record.length
    this.#heldBytes += record.length
    if (this.#heldBytes > GATHERED) this.#flush()
  }

  /** Null: the name is not there. */
  flag(name: string): boolean | null {
    let flag = false
    const found = this.#table.find(name, (at) => {
      // What is looked up right behind its add is rare.
      if (this.#heldBytes > 0) this.#flush()
      const record = Buffer.alloc(HEAD + name.length)
      const count = readSync(this.#file, record, 0, record.length, at)
      flag = record[2] === 1
      return (
        count === record.length && record.readUInt16LE(0) === name.length && record.toString('latin1', HEAD) === name
      )
    })
    return found === null ? null : flag
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#held)
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#file, bytes, done, bytes.length - done, this.#end - this.#heldBytes + done)
    }
    this.#held = []
    this.#heldBytes = 0
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}
