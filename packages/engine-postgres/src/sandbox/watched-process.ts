import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { serverUser, type ServerUser } from './user.ts'

/**
 * Runs a program that dies with us: signals come as lines through a pipe, and when the pipe closes, for whatever reason,
 * the program is told to quit at once, and killed when it does not (single-user recovery). $1 is the file of its input.
 */
const WATCHED = `exec 3<&0
input=$1; shift
"$@" <"$input" 3<&- & program=$!
{ while read -r name <&3; do kill -"$name" $program; done
kill -QUIT $program; for _ in 1 2 3 4 5; do sleep 1; done; kill -KILL $program; } 2>/dev/null & watch=$!
wait $program; status=$?
kill $watch 2>/dev/null
exit $status`

/** File descriptors in the child that lead to the sandbox's two folders. */
const FOLDER_FD = 4
const DATA_FD = 5
const KILL_AFTER_MS = 5_000

/** Where a sandbox's own files are, and the restored data folder. */
export interface Place {
  readonly folder: string
  readonly data: string
}

export interface WatchedCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly place: Place
  readonly logFile: string
  /** File of the standard input, as the child sees it. */
  readonly input: string
  /** Default: the user of sandboxes. */
  readonly user?: ServerUser
}

/**
 * The folders as the server sees them. On Linux through inherited descriptors: the folders above may be closed to the
 * server's user, and the path of a socket may be 107 bytes at most.
 */
export const seenPlace = (place: Place): Place =>
  process.platform === 'linux' ? { folder: `/proc/self/fd/${FOLDER_FD}`, data: `/proc/self/fd/${DATA_FD}` } : place

export class WatchedProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly exited: Promise<number | null>

  constructor({ program, args, place, logFile, input, user = serverUser() }: WatchedCommand) {
    const log = openSync(logFile, 'a', 0o600)
    const folders = [openSync(place.folder, 'r'), openSync(place.data, 'r')]
    try {
      this.#child = spawn('/bin/sh', ['-c', WATCHED, 'sh', input, program, ...args], {
        ...user,
        cwd: '/',
        stdio: ['pipe', log, log, 'ignore', ...folders],
        env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
      })
    } finally {
      closeSync(log)
      folders.forEach((folder) => closeSync(folder))
    }
    this.#child.stdin!.on('error', () => undefined)
    this.exited = once(this.#child, 'exit').then(([code]) => code as number | null)
    this.exited.catch(() => undefined)
  }
  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  signal(name: 'INT' | 'QUIT' | 'KILL'): void {
    this.#child.stdin!.write(`${name}\n`)
  }

  /** Waits for the end; an abort brings it about. */
  async end(signal: AbortSignal): Promise<number | null> {
    const quit = () => void this.#quit()
    signal.addEventListener('abort', quit, { once: true })
    if (signal.aborted) quit()
    const code = await this.exited
    signal.removeEventListener('abort', quit)
    signal.throwIfAborted()
    return code
  }

  async #quit(): Promise<void> {
    const timer = setTimeout(() => this.signal('KILL'), KILL_AFTER_MS)
    this.signal('QUIT')
    await this.exited.catch(() => null)
    clearTimeout(timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.#quit()
  }
}
