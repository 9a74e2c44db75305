import type { ChildProcess } from 'node:child_process'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { FileIdentity, FollowerMessage, FollowerReport, FollowRequest } from '../child/messages.ts'
import { ReportInbox } from '../report-inbox.ts'
import { forkSqlite, type SqliteProcess, type SqliteProcessOptions, whenEnded } from '../sqlite-process.ts'

/** Databases that one process follows: a Node process takes ten times the memory of a database in it, and its end ends all. */
const MOST = 16
/** A process that does not let a database go by then is stuck, and is ended. */
const RELEASE_MS = 3_000

export interface FollowerWish extends Omit<SqliteProcessOptions, 'scratch'> {
  readonly request: FollowRequest
  /** Never followed twice by one process: looking at a file by name and closing it drops that process's locks on it. */
  readonly file: FileIdentity
  readonly write_lock_ms: number
  /** In a process of its own: where one database ended its process before, others are spared. */
  readonly alone: boolean
}

/** Of this process. Those that lost their last database are gone. */
const helpers = new Set<LogHelper>()

/** A database followed by one of few processes. Disposing lets it go, and leaves its log. */
export function startFollower(wish: FollowerWish): SqliteProcess {
  if (wish.signal.aborted) throw new SalvorError('INTERRUPTED', {}, wish.signal.reason)
  const fitting = wish.alone ? undefined : [...helpers].find((helper) => helper.takes(wish))
  return (fitting ?? new LogHelper(wish)).follow(wish)
}

interface Member {
  readonly inbox: ReportInbox
  readonly file: string
  readonly left: PromiseWithResolvers<void>
}

class LogHelper {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  readonly #write_lock_ms: number
  readonly #alone: boolean
  readonly #members = new Map<number, Member>()
  #numbers = 0

  constructor({ write_lock_ms, alone }: FollowerWish) {
    this.#write_lock_ms = write_lock_ms
    this.#alone = alone
    this.#child = forkSqlite({ task: 'followers', write_lock_ms }, {})
    this.#child.on('message', ({ follower, said }: FollowerReport) => this.#deliver(follower, said))
    this.#exited = whenEnded(this.#child, (how, cause) => {
      helpers.delete(this)
      for (const { inbox, left } of this.#members.values()) {
        inbox.died(how, cause)
        left.resolve()
      }
    })
    helpers.add(this)
  }

  takes({ file, write_lock_ms }: FollowerWish): boolean {
    const files = [...this.#members.values()].map((member) => member.file)
    return !this.#alone && write_lock_ms === this.#write_lock_ms && files.length < MOST && !files.includes(key(file))
  }

  follow({ request, file, signal, failure }: FollowerWish): SqliteProcess {
    const number = (this.#numbers += 1)
    const inbox = new ReportInbox(failure)
    const left = Promise.withResolvers<void>()
    this.#members.set(number, { inbox, file: key(file), left })
    const stop = (): void => inbox.fail(new SalvorError('INTERRUPTED', {}, signal.reason))
    signal.addEventListener('abort', stop, { once: true })
    this.#send({ follower: number, say: request })
    return {
      tell: (command) => this.#send({ follower: number, say: command }),
      next: (...wanted) => inbox.next(...wanted),
      ended: inbox.ended,
      [Symbol.asyncDispose]: async () => {
        signal.removeEventListener('abort', stop)
        this.#send({ follower: number, say: { command: 'release' } })
        const stuck = setTimeout(() => this.#child.kill('SIGKILL'), RELEASE_MS)
        await left.promise
        clearTimeout(stuck)
        this.#members.delete(number)
        if (this.#members.size === 0) await this.#end()
      },
    }
  }

  #deliver(follower: number, said: FollowerReport['said']): void {
    const member = this.#members.get(follower)
    member?.inbox.deliver(said)
    if (said.report === 'released' || said.report === 'failed') member?.left.resolve()
  }

  #send(message: FollowerMessage): void {
    this.#child.send(message, () => undefined)
  }

  async #end(): Promise<void> {
    helpers.delete(this)
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}

function key({ dev, ino }: FileIdentity): string {
  return `${dev}:${ino}`
}
