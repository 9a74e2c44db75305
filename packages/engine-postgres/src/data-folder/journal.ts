import { closeSync, openSync, writeSync } from 'node:fs'

// A worker thread loads this file: no package of this project may be imported here.

/** A file as the comparison with backup_manifest needs it: name (a byte string below the data folder), size, CRC-32C as hex. */
export type SummedFile = readonly [name: string, size: number, crc: string]

const GATHERED = 65_536

/** Files that were written, a line for each. */
export class Journal {
  readonly #file: number
  #lines = ''

  /** Makes the file, or goes on with it. */
  constructor(path: string, goesOn: boolean) {
    this.#file = openSync(path, goesOn ? 'a' : 'ax', 0o600)
  }

  add(file: SummedFile): void {
    this.#lines += `${JSON.stringify(file)}\n`
    if (this.#lines.length > GATHERED) this.#flush()
  }

  /** Its lines are in the file then. */
  end(): void {
    this.#flush()
    this.close()
  }

  close(): void {
    closeSync(this.#file)
  }

  #flush(): void {
    writeSync(this.#file, this.#lines)
    this.#lines = ''
  }
}
