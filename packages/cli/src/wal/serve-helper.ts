import { readdir, rename, rm, stat } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
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
  /** A caller that has not asked by then is none. */
  readonly asks: number
}
const TIMES: HelperTimes = { idle: 60_000, lives: 3_600_000, looks: 1_000, asks: 5_000 }

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

  /** `listening` is awaited before the first call can come. */
  async serve(listening: () => Promise<void>): Promise<void> {
    // What changes from now on is seen.
    if (!(await this.#fresh.isFresh())) return
    const { socket } = this.#place
    const own = `${socket}.${process.pid}`
    await rm(own, { force: true })
    const server = createServer((connection) => this.#hear(connection))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(own, resolve)
    })
    await listening()
    const { ino } = await stat(own)
    // In the place of one that is dead, or hangs.
    await rename(own, socket)
    await this.#untilDone(ino)
    if (await this.#isReached(ino)) await rm(socket, { force: true })
    // What was asked is answered, and what that began ahead ends.
    await new Promise((resolve) => server.close(resolve))
    await this.#answers.ended()
  }

  async #untilDone(ino: number): Promise<void> {
    const { looks, idle, lives } = this.#times
    const begun = performance.now()
    while (!this.#stop.signal.aborted) {
      await sleep(looks, undefined, { signal: this.#stop.signal }).catch(() => undefined)
      const now = performance.now()
      const unused = this.#working === 0 && now - this.#usedAt > idle
      // Nobody will ask a helper whose configuration is gone.
      const useless = unused || now - begun > lives || !(await this.#isReached(ino)) || !(await this.#fresh.isFresh())
      if (useless) this.#stop.abort()
    }
  }

  /** Another helper may have taken the place. */
  async #isReached(ino: number): Promise<boolean> {
    return (await stat(this.#place.socket).catch(() => null))?.ino === ino
  }

  #hear(connection: Socket): void {
    let text = Buffer.alloc(0)
    // A caller that is stopped, or is none, holds up nothing.
    connection.setTimeout(this.#times.asks, () => connection.destroy())
    connection.on('error', () => undefined)
    connection.on('data', (data: Buffer) => {
      text = Buffer.concat([text, data])
      try {
        const request = unpackRequest(text)
        if (request === null) return
        connection.removeAllListeners('data').setTimeout(0)
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
      if (!(await this.#isMine(request))) return leave(connection, DECLINED)
      leave(connection, packReply(await this.#answers.to(request)))
      this.#usedAt = performance.now()
    } catch {
      // The caller tries, and tells. What failed here may be of this process: the next one begins anew.
      leave(connection, DECLINED)
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

/** Does not wait until the caller has read it. */
function leave(connection: Socket, words: string | Buffer): void {
  connection.end(words, () => connection.destroy())
}
