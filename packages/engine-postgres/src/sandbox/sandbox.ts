import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { RecoveryRequest } from '@salvor/shared/ports/engine'
import { chmod, lchown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Address } from '../connect/address.ts'
import { readControlFile, type ControlFile } from '../data-folder/control-file.ts'
import { listTree } from '../data-folder/settle.ts'
import { Link } from '../protocol/link.ts'
import { ServerError } from '../protocol/server-error.ts'
import { RECOVERY_SIGNAL, recoverySettings } from '../recovery/settings.ts'
import { sandboxSettings } from './server-settings.ts'
import { serverUser } from './user.ts'
import { seenPlace, WatchedProcess, type Place } from './watched-process.ts'

const ROLE = 'salvor_sandbox'
const LOOK_EVERY_MS = 50
/** Made in single-user mode, where nobody has to log in: the names of the source's superusers are not known. */
const MAKE_ROLE = [
  'SET default_transaction_read_only = off',
  `CREATE ROLE ${ROLE} SUPERUSER LOGIN`,
  `ALTER ROLE ${ROLE} SUPERUSER LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity'`,
]

/** A restored data folder with a server of its own around it. Disposing ends the server. */
export class Sandbox implements AsyncDisposable {
  readonly folder: string
  readonly data: string
  readonly #seen: Place
  readonly #postgres: string
  readonly #root: number
  #server: WatchedProcess | null = null

  private constructor(place: Place, bin: string) {
    this.folder = place.folder
    this.data = place.data
    this.#seen = seenPlace(place)
    this.#postgres = join(bin, 'postgres')
    this.#root = openSync(place.folder, 'r')
  }
  get #logFile(): string {
    return join(this.folder, 'server.log')
  }

  /**
   * Takes a restored copy over: it gets another owner and is changed, so it is not a target that anybody uses. `recovery`: what it was restored for,
   * and how far `recover` is to replay; absent: to the end of the backup.
   */
  static async around(
    data: string,
    scratch: string,
    bin: string,
    major: number,
    recovery?: RecoveryRequest,
  ): Promise<Sandbox> {
    const control = await readControlFile(data)
    const sandbox = new Sandbox({ folder: await mkdtemp(join(scratch, 'sandbox-')), data }, bin)
    try {
      await sandbox.#prepare(major, control, recovery)
    } catch (error) {
      await sandbox[Symbol.asyncDispose]()
      throw error
    }
    return sandbox
  }

  async #prepare(major: number, control: ControlFile, recovery: RecoveryRequest | undefined): Promise<void> {
    await mkdir(join(this.folder, 'socket'), 0o700)
    const hasTablespaces = (await readdir(join(this.data, 'pg_tblspc'))).length > 0
    const more = recovery && recoverySettings({ ...recovery, pause: false })
    const settings = sandboxSettings(major, this.#seen.folder, control, hasTablespaces, more)
    await writeFile(join(this.folder, 'postgresql.conf'), settings)
    await writeFile(join(this.folder, 'pg_hba.conf'), 'local all all trust\n')
    await writeFile(join(this.folder, 'pg_ident.conf'), '')
    await writeFile(join(this.folder, 'role.sql'), `${MAKE_ROLE.join(';\n')};\n`)
    const signals = recovery ? [] : [RECOVERY_SIGNAL]
    for (const name of ['postgresql.auto.conf', 'standby.signal', 'postmaster.pid', ...signals]) {
      await rm(join(this.data, name), { force: true })
    }
    await chmod(this.data, 0o700)
    const { uid, gid } = serverUser()
    if (uid === undefined) return
    for (const root of [this.folder, this.data]) {
      for await (const path of listTree(root)) await lchown(path, uid, gid!)
    }
  }

  #run(args: readonly string[], input: string): WatchedProcess {
    const settings = ['-D', this.#seen.data, '-c', `config_file=${this.#seen.folder}/postgresql.conf`]
    const [mode, ...rest] = args
    return new WatchedProcess({
      program: this.#postgres,
      args: mode === undefined ? settings : [mode, ...settings, ...rest],
      place: { folder: this.folder, data: this.data },
      logFile: this.#logFile,
      input,
    })
  }

  /** Replays the WAL as far as it is to go, and makes a superuser. False: the server gave up; `lastWords` tells why. */
  async recover(signal: AbortSignal): Promise<boolean> {
    await using single = this.#run(['--single', 'template1'], `${this.#seen.folder}/role.sql`)
    return (await single.end(signal)) === 0
  }

  async start(signal: AbortSignal): Promise<boolean> {
    this.#server = this.#run([], '/dev/null')
    while (this.#server.running) {
      signal.throwIfAborted()
      try {
        await (await this.connect('template1', signal))[Symbol.asyncDispose]()
        return true
      } catch (error) {
        signal.throwIfAborted()
        // Anything but "starting up" is an answer, too.
        if (error instanceof ServerError && error.sqlState !== '57P03') return true
        await sleep(LOOK_EVERY_MS)
      }
    }
    return false
  }

  /** Throws ServerError or LinkLost. */
  connect(database: string, signal: AbortSignal): Promise<Link> {
    const host = process.platform === 'linux' ? `/proc/self/fd/${this.#root}/socket` : join(this.folder, 'socket')
    const address: Address = {
      host,
      port: 5432,
      user: ROLE,
      password: null,
      database,
      sslmode: 'disable',
      sslrootcert: null,
      sslcert: null,
      sslkey: null,
      channelBinding: 'disable',
      connectSeconds: 30,
      allowCleartext: false,
    }
    // A database's own settings could load what is not here.
    return Link.open(address, 'sql', signal, { session_preload_libraries: '', local_preload_libraries: '' })
  }

  /** An orderly stop. True: the server wrote everything and said so in pg_control. */
  async stop(signal: AbortSignal): Promise<boolean> {
    const server = this.#server
    if (server === null || !server.running) return false
    server.signal('INT')
    const code = await server.end(signal)
    this.#server = null
    return code === 0
  }

  control(): Promise<ControlFile> {
    return readControlFile(this.data)
  }

  /** The first fatal line that the server logged, for people; DETAIL is not logged at all. */
  async lastWords(): Promise<string> {
    const log = await readFile(this.#logFile, 'utf8').catch(() => '')
    const line = /(?:FATAL|PANIC): {2}(.{1,200})/.exec(log)?.[1] ?? 'the server ended without a word'
    if (/No space left on device/.test(line)) throw new SalvorError('DISK_FULL', { what: this.folder })
    return line.replace(/\p{Cc}+/gu, ' ').replaceAll(this.#seen.data, 'data')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]()
    closeSync(this.#root)
  }
}
