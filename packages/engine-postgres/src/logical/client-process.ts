import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'

const KILL_AFTER_MS = 5_000
/** Of what a program says on stderr. */
const MOST_WORDS = 64 * 1024

/** A client program ended with an error. The message is its first one, in one line, without DETAIL, CONTEXT or statements. */
export class ProgramFailed extends Error {
  /** How many errors it told. */
  readonly count: number

  constructor(reason: string, count: number) {
    super(reason)
    this.name = 'ProgramFailed'
    this.count = count
  }
}

export interface ClientCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly input: 'pipe' | 'ignore'
  /** Passed on as descriptor 3. */
  readonly folder?: number
}

/** One run of pg_dump, pg_dumpall or pg_restore. Disposing ends it. */
export class ClientProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #exited: Promise<void>
  #words = ''
  #stalled: string | null = null
  #broken: unknown = null

  constructor({ program, args, env, input, folder }: ClientCommand) {
    this.#name = program.slice(program.lastIndexOf('/') + 1)
    this.#child = spawn(program, args, {
      cwd: '/',
      env,
      stdio: [input, 'pipe', 'pipe', ...(folder === undefined ? [] : [folder])],
    })
    this.#exited = once(this.#child, 'close').then(() => undefined)
    this.#exited.catch((error: unknown) => (this.#broken = error))
    this.#child.stdin?.on('error', () => undefined)
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      if (this.#words.length < MOST_WORDS) this.#words += text.slice(0, MOST_WORDS)
    })
  }

  /** What it writes. Silence for longer than `limit` tells ends it; time in which nobody reads does not count. */
  async *output(limit: (first: boolean) => number): AsyncGenerator<Buffer> {
    const chunks = (this.#child.stdout as Readable)[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    for (let first = true; ; first = false) {
      const ms = limit(first)
      const timer = setTimeout(() => this.#stall(ms), ms)
      const next = await chunks.next().finally(() => clearTimeout(timer))
      if (next.done) return
      yield next.value
    }
  }

  /** False: it does not take more, since it has ended or said that it is done. */
  async write(bytes: Uint8Array): Promise<boolean> {
    const input = this.#child.stdin as Writable
    if (input.destroyed || !input.writable) return false
    // A pipe keeps what it was given: the caller's buffer is used again.
    if (input.write(Buffer.from(bytes))) return true
    const waited = new AbortController()
    const { signal } = waited
    const any = [once(input, 'drain', { signal }), once(input, 'close', { signal }), this.#exited]
    for (const each of any) each.catch(() => undefined)
    await Promise.race(any).catch(() => undefined)
    waited.abort()
    return !input.destroyed
  }

  endInput(): void {
    this.#child.stdin?.end()
  }

  /** Rejects with ProgramFailed unless it ended well. */
  async end(): Promise<void> {
    await this.#exited.catch(() => undefined)
    if (this.#stalled !== null) throw new ProgramFailed(this.#stalled, 1)
    if (this.#broken !== null)
      throw new ProgramFailed(`it does not start (${(this.#broken as NodeJS.ErrnoException).code})`, 1)
    const { exitCode, signalCode } = this.#child
    if (exitCode === 0) return
    const how = signalCode === null ? `exit ${exitCode}` : `signal ${signalCode}`
    const errors = errorsIn(this.#words, this.#name)
    throw new ProgramFailed(errors[0] ?? `it ended without a word (${how})`, Math.max(1, errors.length))
  }

  #stall(ms: number): void {
    this.#stalled = `it wrote nothing for ${Math.round(ms / 1000)} s`
    this.#child.kill('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#broken !== null) return
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), KILL_AFTER_MS)
    // It cancels what the server does for it.
    this.#child.kill('SIGTERM')
    this.#child.stdout?.destroy()
    await this.#exited.catch(() => undefined)
    clearTimeout(timer)
  }
}

const LONGEST = 300
const DROPPED = /^(?:DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LINE \d+):|^\s+\^/

/** The errors in what a program said; the server's own words count more than the program's around them. */
export function errorsIn(words: string, program: string): string[] {
  const errors: string[] = []
  for (const line of words.split('\n')) {
    if (DROPPED.test(line)) continue
    const own = line.startsWith(`${program}: error: `) ? line.slice(program.length + 9) : null
    const said = /(?:^|[:\s])((?:ERROR|FATAL|PANIC): {2}.*)$/.exec(line)?.[1]
    if (own !== null) errors.push(clean(said ?? own))
    else if (said !== undefined && errors.length > 0 && !/^(?:ERROR|FATAL|PANIC):/.test(errors.at(-1)!))
      errors[errors.length - 1] = clean(said)
  }
  return errors
}

const clean = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, LONGEST)
