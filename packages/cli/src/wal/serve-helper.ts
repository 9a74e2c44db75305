import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Runtime } from '@salvor/runtime/open-runtime'
import { Answers } from './answer-request.ts'
import { Freshness } from './freshness.ts'
import {
  ALIVE,
  ALIVE_EVERY_MS,
  comparedEnvironment,
  DECLINED,
  environmentLines,
  packReply,
  unpackRequest,
  type HelperRequest,
} from './helper-message.ts'
import type { HelperPlace } from './helper-place.ts'

/** Milliseconds. */
export interface HelperTimes {
  /** Nobody asked for so long: it ends. */
  readonly idle: number
  /** It ends even if somebody asks: the next call begins a new one. */
  readonly lives: number
  /** Between two looks at whether it should end. */
  readonly looks: number
}
const TIMES: HelperTimes = { idle: 60_000, lives: 3_600_000, looks: 1_000 }

/** Another helper of this place listens already. */
export async function isServed({ socket }: HelperPlace): Promise<boolean> {
  return await new Promise((resolve) => {
    const connection = createConnection(socket)
    const end = (served: boolean): void => {
      connection.destroy()
      resolve(served)
    }
    connection.once('connect', () => end(true)).once('error', () => end(false))
  })
}

/** Sockets of helpers that were killed. */
export async function removeDead({ folder }: HelperPlace): Promise<void> {
  for (const name of await readdir(folder)) {
    const socket = join(folder, name)
    if (name.endsWith('.sock') && !(await isServed({ folder, socket, stamp: '', starting: '' })))
      await rm(socket, { force: true })
  }
}

/**
 * Answers calls until none came for a minute, the configuration changed, a call came from another version of Salvor, something
 * failed, or the signal aborts. Only this user reaches it. A call that it declines is done by the caller.
 */
export class WalHelper {
  readonly #runtime: Runtime
  readonly #place: HelperPlace
  readonly #answers: Answers
  readonly #fresh: Freshness
  readonly #environment = comparedEnvironment(environmentLines())
  readonly #stop = new AbortController()
  readonly #times: HelperTimes
  #working = 0
  #usedAt = performance.now()

  /** `times`: for tests. */
  constructor(runtime: Runtime, place: HelperPlace, signal: AbortSignal, times: HelperTimes = TIMES) {
    this.#times = times
    this.#runtime = runtime
    this.#place = place
    this.#fresh = new Freshness(runtime)
    this.#answers = new Answers(runtime, signal)
    signal.addEventListener('abort', () => this.#stop.abort(), { once: true })
  }

  /** `listening` is called once calls are heard. */
  async serve(listening: () => void): Promise<void> {
    const { socket } = this.#place
    // What changes from now on is seen.
    if (!(await this.#fresh.isFresh())) return
    const server = createServer((connection) => this.#hear(connection))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(socket, resolve)
    })
    listening()
    const own = (await stat(socket)).ino
    const begun = performance.now()
    while (!this.#stop.signal.aborted) {
      await sleep(this.#times.looks, undefined, { signal: this.#stop.signal }).catch(() => undefined)
      const now = performance.now()
      const idle = this.#working === 0 && now - this.#usedAt > this.#times.idle
      // The file of the configuration, or the socket, may be gone: nobody will ask again.
      const lost = (await stat(socket).catch(() => null))?.ino !== own || !(await this.#fresh.isFresh())
      if (idle || lost || now - begun > this.#times.lives) this.#stop.abort()
    }
    await this.#close(server)
  }

  /** No more calls are heard, those that were are answered. The server removes its socket. */
  async #close(server: Server): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve))
    await this.#answers.ended()
    await closed
  }

  #hear(connection: Socket): void {
    let text = Buffer.alloc(0)
    connection.on('error', () => undefined)
    connection.on('data', (data: Buffer) => {
      text = Buffer.concat([text, data])
      try {
        const request = unpackRequest(text)
        if (request === null) return
        connection.removeAllListeners('data')
        void this.#answer(request, connection)
      } catch {
        connection.destroy()
      }
    })
  }

  /** Never rejects. */
  async #answer(request: HelperRequest, connection: Socket): Promise<void> {
    this.#working += 1
    const alive = setInterval(() => connection.write(ALIVE), ALIVE_EVERY_MS)
    try {
      if (!(await this.#isMine(request))) return void connection.end(DECLINED)
      connection.end(packReply(await this.#answers.to(request)))
      this.#usedAt = performance.now()
    } catch {
      // The caller tries, and tells. What failed here may be of this process: the next one begins anew.
      connection.end(DECLINED)
      this.#stop.abort()
    } finally {
      clearInterval(alive)
      this.#working -= 1
    }
  }

  async #isMine({ main, config, environment }: HelperRequest): Promise<boolean> {
    if (this.#stop.signal.aborted || config !== this.#runtime.config().file) return false
    if (comparedEnvironment(environment) !== this.#environment) return false
    const current = main === process.argv[1] && (await this.#fresh.isFresh())
    if (!current) this.#stop.abort()
    return current
  }
}
