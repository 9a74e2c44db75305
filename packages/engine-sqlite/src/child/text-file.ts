import { closeSync, openSync, writeSync } from 'node:fs'

const KEPT = 256 * 1024

/** A new file that takes text; few writes, and little in memory. */
export class TextFile implements Disposable {
  readonly #fd: number
  #parts: string[] = []
  #length = 0

  constructor(path: string) {
    this.#fd = openSync(path, 'wx', 0o600)
  }

  write(text: string): void {
    this.#parts.push(text)
    this.#length += text.length
    if (this.#length >= KEPT) this.#flush()
  }

  #flush(): void {
    const bytes = Buffer.from(this.#parts.join(''), 'utf8')
    this.#parts = []
    this.#length = 0
    for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at)
  }

  /** Everything is with the system then. */
  end(): void {
    this.#flush()
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}
