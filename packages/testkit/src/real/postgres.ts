import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import {
  freePort,
  killPostgres,
  spawnPostgres,
  stopPostgres,
  type PostgresProcess,
  type StopMode,
} from './postgres-process.ts'
import { hasPrograms, postgresPrograms, serverUser, type PostgresMajor } from './postgres-programs.ts'

export type { PostgresMajor, StopMode }
const SUPPORTED = [13, 14, 15, 16, 17, 18] as const satisfies readonly PostgresMajor[]
/** What is supported and can be started here: npm has no 13 and 14 for arm64. Without the others, tests fail. */
export const POSTGRES_MAJORS: readonly PostgresMajor[] = SUPPORTED.filter((major) => major > 14 || hasPrograms(major))
const absent = SUPPORTED.filter((major) => !POSTGRES_MAJORS.includes(major))
if (absent.length > 0) console.log(`PostgreSQL ${absent.join(', ')} is not tested: no programs on this machine`)

export interface PostgresOptions {
  readonly major: PostgresMajor
  /** Folder of its programs. Default: what `postgresPrograms` finds. */
  readonly bin?: string
  /** Lines of postgresql.conf; they win over the fast test settings. */
  readonly settings?: Readonly<Record<string, string>>
  /** Lines of pg_hba.conf that come before the ones that trust everybody on this machine. */
  readonly hba?: readonly string[]
  /** Further arguments of initdb, for example `--data-checksums`. */
  readonly initdb?: readonly string[]
  /** PEM texts; the server then speaks TLS. */
  readonly ssl?: { readonly cert: string; readonly key: string }
}

export interface RealPostgres extends AsyncDisposable {
  /** postgres://postgres@127.0.0.1:<port>/postgres */
  readonly url: string
  readonly host: '127.0.0.1'
  readonly port: number
  readonly superuser: 'postgres'
  readonly dataDir: string
  /** A folder of this server's user beside the data, removed with it: sockets, tablespaces. */
  readonly folder: string
  readonly major: PostgresMajor
  readonly version: string
  /** Folder of its programs. */
  readonly bin: string
  readonly how: 'local'
  query(sql: string, params?: readonly unknown[]): Promise<Record<string, unknown>[]>
  /** What the server logged so far. */
  log(): string
  restart(mode?: StopMode): Promise<void>
  stop(mode?: StopMode): Promise<void>
  kill9(): Promise<void>
  /** After stop or kill9. */
  start(): Promise<void>
}

const FAST_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  shared_buffers: '16MB',
  max_wal_senders: '8',
  wal_level: 'replica',
  log_timezone: 'UTC',
  timezone: 'UTC',
}

/** A PostgreSQL of its own on a free loopback port. Disposing stops it and removes its files; so does the end of this process. */
export async function startPostgres(options: PostgresOptions): Promise<RealPostgres> {
  const bin = options.bin ?? (await postgresPrograms(options.major))
  const folder = mkdtempSync(join(tmpdir(), `salvor-pg${options.major}-`))
  own(folder, 0o700)
  const server = new LocalPostgres(options.major, bin, folder)
  try {
    initialise(bin, server.dataDir, options)
    await server.start()
  } catch (error) {
    remove(folder)
    throw error
  }
  left.add(folder)
  return server
}

/** A server on a copy of a data folder that a restore has made; the folder itself stays as it was restored. */
export async function startRestored(major: PostgresMajor, dataDir: string): Promise<RealPostgres> {
  const bin = await postgresPrograms(major)
  const folder = mkdtempSync(join(tmpdir(), `salvor-pg${major}-restored-`))
  try {
    own(folder, 0o700)
    const server = new LocalPostgres(major, bin, folder)
    cpSync(dataDir, server.dataDir, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
    for (const name of ['', ...readdirSync(server.dataDir, { recursive: true, encoding: 'utf8' })]) {
      const path = join(server.dataDir, name)
      const found = lstatSync(path)
      // A link leads to a tablespace, which is the caller's.
      if (!found.isSymbolicLink()) own(path, found.isDirectory() ? 0o700 : 0o600)
    }
    await server.start()
    left.add(folder)
    return server
  } catch (error) {
    remove(folder)
    throw error
  }
}

/** A streaming standby of a server, made from a cold copy: the server is restarted for it. Ends as `startPostgres` says. */
export async function startStandby(primary: RealPostgres): Promise<RealPostgres> {
  const folder = mkdtempSync(join(tmpdir(), `salvor-pg${primary.major}-standby-`))
  own(folder, 0o700)
  const standby = new LocalPostgres(primary.major, primary.bin, folder)
  try {
    await primary.stop()
    const { status, stderr } = spawnSync('cp', ['-a', primary.dataDir, standby.dataDir], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`no copy of the primary: ${stderr}`)
    await primary.start()
    const conninfo = `host=127.0.0.1 port=${primary.port} user=postgres`
    appendFileSync(join(standby.dataDir, 'postgresql.conf'), `primary_conninfo = '${conninfo}'\n`)
    writeFileSync(join(standby.dataDir, 'standby.signal'), '')
    own(join(standby.dataDir, 'standby.signal'), 0o600)
    await standby.start()
  } catch (error) {
    remove(folder)
    throw error
  }
  left.add(folder)
  return standby
}

/** Folders of servers that nobody disposed when the process ends. */
const left = new Set<string>()
process.once('exit', () => left.forEach(remove))

function remove(folder: string): void {
  left.delete(folder)
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}

class LocalPostgres implements RealPostgres {
  readonly host = '127.0.0.1'
  readonly superuser = 'postgres'
  readonly how = 'local'
  readonly major: PostgresMajor
  readonly folder: string
  readonly dataDir: string
  port = 0
  version = ''
  readonly bin: string
  #process: PostgresProcess | null = null

  constructor(major: PostgresMajor, bin: string, folder: string) {
    this.major = major
    this.folder = folder
    this.dataDir = join(folder, 'data')
    this.bin = bin
  }
  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`
  }
  get #logFile(): string {
    return join(this.folder, 'server.log')
  }

  async query(sql: string, params: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.url, connectionTimeoutMillis: 10_000 })
    client.on('error', () => undefined)
    await client.connect()
    try {
      const result = await client.query<Record<string, unknown>>(sql, [...params])
      return result.rows ?? []
    } finally {
      await client.end()
    }
  }

  log(): string {
    return readFileSync(this.#logFile, 'utf8')
  }

  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const port = this.port === 0 ? await freePort() : this.port
      const server = spawnPostgres(this.bin, this.dataDir, port, this.#logFile, this.folder)
      if (await this.#answers(server, port)) {
        this.#process = server
        return
      }
      if (attempt === 5 || !this.log().includes('Address already in use')) {
        throw new Error(`PostgreSQL ${this.major} did not start:\n${this.log().slice(-2000)}`)
      }
      if (this.port !== 0) await sleep(200)
    }
  }

  async #answers(server: PostgresProcess, port: number): Promise<boolean> {
    const url = `postgres://postgres@127.0.0.1:${port}/postgres`
    for (let waited = 0; waited < 30_000; waited += 50) {
      if (server.child.exitCode !== null || server.child.signalCode !== null) return false
      const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 })
      client.on('error', () => undefined)
      try {
        await client.connect()
        const { rows } = await client.query<{ server_version: string }>('SHOW server_version')
        this.version = rows[0]!.server_version.split(' ')[0]!
        this.port = port
        return true
      } catch {
        await sleep(50)
      } finally {
        await client.end().catch(() => undefined)
      }
    }
    return false
  }

  async restart(mode: StopMode = 'fast'): Promise<void> {
    await this.stop(mode)
    await this.start()
  }

  async stop(mode: StopMode = 'fast'): Promise<void> {
    if (this.#process === null) return
    await stopPostgres(this.#process, this.dataDir, mode)
    this.#process = null
  }

  async kill9(): Promise<void> {
    if (this.#process === null) return
    await killPostgres(this.#process, this.dataDir)
    this.#process = null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('immediate')
    remove(this.folder)
  }
}

function initialise(bin: string, dataDir: string, options: PostgresOptions): void {
  const fixed = ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '-N', '-E', 'UTF8', '--locale=C']
  const { status, stderr, error } = spawnSync(join(bin, 'initdb'), [...fixed, ...(options.initdb ?? [])], {
    ...serverUser,
    cwd: '/',
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', TZ: 'UTC', LC_ALL: 'C' },
  })
  if (status !== 0) throw new Error(`initdb ${options.major} failed: ${stderr}`, { cause: error })
  const settings: Record<string, string> = { ...FAST_SETTINGS, ...options.settings }
  if (options.ssl) {
    settings['ssl'] = 'on'
    for (const [name, pem] of [['server.crt', options.ssl.cert] as const, ['server.key', options.ssl.key] as const]) {
      writeFileSync(join(dataDir, name), pem)
      own(join(dataDir, name), 0o600)
    }
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
  appendFileSync(join(dataDir, 'postgresql.conf'), `\n${lines.join('')}`)
  const hba = join(dataDir, 'pg_hba.conf')
  writeFileSync(hba, [...(options.hba ?? []), readFileSync(hba, 'utf8')].join('\n'))
}

function own(path: string, mode: number): void {
  chmodSync(path, mode)
  if (serverUser.uid !== undefined) chownSync(path, serverUser.uid, serverUser.gid!)
}
