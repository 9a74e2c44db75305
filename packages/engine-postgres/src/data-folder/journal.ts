import { closeSync, openSync, writeSync } from 'node:fs'
import { crcHex } from './crc32c.ts'

// A worker thread loads this file: no package of this project may be imported here.

const GATHERED = 65_536

/** What the comparison with backup_manifest needs of the files that were written: a line for each, [name, size, CRC-32C]. */
export class Journal implements Disposable {
  readonly #file: number
  #lines = ''

  constructor(path: string) {
    this.#file = openSync(path, 'wx', 0o600)
  }

  /** `name` is a byte string below the data folder. */
  add(name: string, size: number, crc: number): void {
    this.#lines += `${JSON.stringify([name, size, crcHex(crc)])}\n`
    if (this.#lines.length > GATHERED) this.flush()
  }

  flush(): void {
    writeSync(this.#file, this.#lines)
    this.#lines = ''
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}
