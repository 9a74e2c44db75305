import { appendFileSync, writeFileSync } from 'node:fs'
import { linesOf } from '../data-folder/lines.ts'

const GATHERED = 64 * 1024

/** File names in a scratch file, in their order: a million of them are too much for memory. Byte strings. */
export class NameList {
  readonly #file: string
  #lines = ''

  constructor(file: string) {
    this.#file = file
    writeFileSync(file, '', { flag: 'wx', mode: 0o600 })
  }

  add(name: string): void {
    this.#lines += `${JSON.stringify(name)}\n`
    if (this.#lines.length > GATHERED) this.#flush()
  }

  async *names(signal: AbortSignal): AsyncGenerator<string> {
    this.#flush()
    for await (const line of linesOf(this.#file, signal)) yield JSON.parse(line) as string
  }

  #flush(): void {
    appendFileSync(this.#file, this.#lines)
    this.#lines = ''
  }
}
