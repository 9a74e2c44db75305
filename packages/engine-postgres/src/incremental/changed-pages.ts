import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import { PAGE } from './form.ts'

const IN_MEMORY = 4 * 1024 * 1024

/** Pages of one file that are to be stored once their number is known: in memory, and beyond 4 MiB in a scratch file. */
export class ChangedPages implements Disposable {
  readonly #path: string
  readonly #buffer = Buffer.allocUnsafeSlow(IN_MEMORY)
  #file: number | null = null
  #filled = 0
  #spilled = 0
  #numbers: number[] = []

  constructor(path: string) {
    this.#path = path
  }

  get numbers(): Uint32Array {
    return Uint32Array.from(this.#numbers)
  }

  add(number: number, page: Uint8Array): void {
    if (this.#filled === IN_MEMORY) this.#spill()
    this.#buffer.set(page, this.#filled)
    this.#filled += PAGE
    this.#numbers.push(number)
  }

  /** Gives all pages in order, and begins anew. */
  async drain(sink: SnapshotSink): Promise<void> {
    if (this.#spilled === 0) {
      if (this.#filled > 0) await sink.write(this.#buffer.subarray(0, this.#filled))
    } else {
      this.#spill()
      for (let at = 0; at < this.#spilled;) {
        const count = readSync(this.#file!, this.#buffer, 0, Math.min(IN_MEMORY, this.#spilled - at), at)
        if (count === 0) throw new RangeError('a scratch file was cut')
        await sink.write(this.#buffer.subarray(0, count))
        at += count
      }
    }
    this.#filled = 0
    this.#spilled = 0
    this.#numbers = []
  }

  #spill(): void {
    this.#file ??= openSync(this.#path, 'wx+', 0o600)
    for (let at = 0; at < this.#filled;) {
      at += writeSync(this.#file, this.#buffer, at, this.#filled - at, this.#spilled + at)
    }
    this.#spilled += this.#filled
    this.#filled = 0
  }

  [Symbol.dispose](): void {
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }
}
