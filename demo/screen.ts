/** Plain lines, one below the other: the same on a terminal and in a log. */
export class Screen {
  readonly #width: number
  readonly #began = performance.now()
  readonly #colour = process.stdout.isTTY

  constructor(sources: readonly string[]) {
    this.#width = Math.max(...sources.map((source) => source.length))
  }
  title(text: string): void {
    this.line('')
    this.line(this.#bold(text))
  }
  line(text: string): void {
    process.stdout.write(`${text}\n`)
  }
  /** One step of one backup; further lines of `text` are indented below it. */
  step(source: string, step: string, text: string): void {
    const at = `${((performance.now() - this.#began) / 1000).toFixed(1).padStart(5)} s`
    const head = `${at}  ${source.padEnd(this.#width)}  ${this.#bold(step.padEnd(8))}  `
    const [first = '', ...more] = text.split('\n')
    const indent = ' '.repeat(at.length + this.#width + 14)
    this.line(head + first)
    for (const line of more) this.line(indent + line)
  }
  #bold(text: string): string {
    return this.#colour ? `\u001B[1m${text}\u001B[22m` : text
  }
}
