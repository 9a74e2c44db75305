import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EngineContext } from '@salvor/shared/ports/engine'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Address } from '../connect/address.ts'
import { COMMAND_IDLE_MS } from '../connect/session.ts'
import type { Link } from '../protocol/link.ts'
import { ServerError } from '../protocol/server-error.ts'
import { lackSaid } from '../sandbox/missing.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import { ClientProcess, ProgramFailed } from './client-process.ts'
import type { DumpedDatabase } from './contents.ts'
import type { ClientProgram } from './programs.ts'
import { makeRoles } from './roles.ts'
import { ident } from './row-counts.ts'
import { clientFiles } from './service-file.ts'

const LOADER = 'salvor_loader'
/** Rows go in as this role, since a table's checks may call functions of its owner's, which shall not run as a superuser. */
const MAKE_LOADER = `CREATE ROLE ${LOADER} LOGIN`
/** What roles may do to this machine is taken from them; the sandbox's own is the only superuser. */
const TAME = `
  DO $$ DECLARE r record; BEGIN
    FOR r IN SELECT rolname FROM pg_roles WHERE rolsuper AND rolname <> current_user LOOP
      EXECUTE format('ALTER ROLE %I NOSUPERUSER', r.rolname);
    END LOOP;
    FOR r IN SELECT g.rolname AS what, m.rolname AS who FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid
        JOIN pg_roles m ON m.oid = a.member
        WHERE g.rolname IN ('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files') LOOP
      EXECUTE format('REVOKE %I FROM %I CASCADE', r.what, r.who);
    END LOOP;
  END $$`
/** With pg_dump 17 large objects come with the rows, and are given to their owners then: who does that must be one of them. */
const JOIN_OWNERS = `
  DO $$ DECLARE r record; BEGIN
    FOR r IN SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname NOT IN (current_user, '${LOADER}') LOOP
      EXECUTE format('GRANT %I TO ${LOADER}', r.rolname);
    END LOOP;
  END $$`
const LET_LOAD = `
  DO $$ DECLARE s text; BEGIN
    FOR s IN SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_' LOOP
      EXECUTE format('GRANT USAGE ON SCHEMA %I TO ${LOADER}', s);
      EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO ${LOADER}', s);
      EXECUTE format('GRANT ALL ON ALL SEQUENCES IN SCHEMA %I TO ${LOADER}', s);
      EXECUTE format('GRANT ALL ON ALL FUNCTIONS IN SCHEMA %I TO ${LOADER}', s);
    END LOOP;
    ALTER DATABASE DBNAME SET lo_compat_privileges = on;
  END $$`

/** Brings dumps into a sandbox, one database after the other. Disposing removes its files. */
export class SandboxLoader implements AsyncDisposable {
  readonly #context: EngineContext
  readonly #sandbox: Sandbox
  readonly #program: ClientProgram
  readonly #secrets: string
  readonly #folder: number
  readonly #signal: AbortSignal

  private constructor(
    context: EngineContext,
    sandbox: Sandbox,
    program: ClientProgram,
    secrets: string,
    signal: AbortSignal,
  ) {
    this.#context = context
    this.#sandbox = sandbox
    this.#program = program
    this.#secrets = secrets
    this.#folder = openSync(sandbox.folder, 'r')
    this.#signal = signal
  }

  static async open(
    context: EngineContext,
    sandbox: Sandbox,
    program: ClientProgram,
    signal: AbortSignal,
  ): Promise<SandboxLoader> {
    const secrets = await mkdtemp(join(context.scratch_dir, 'client-'))
    return new SandboxLoader(context, sandbox, program, secrets, signal)
  }

  async roles(globals: string): Promise<void> {
    await using link = await this.#sandbox.connect('template1', this.#signal)
    await makeRoles(link, globals, this.#signal)
    for (const sql of [TAME, MAKE_LOADER, JOIN_OWNERS]) await link.rows(sql, COMMAND_IDLE_MS, this.#signal)
  }

  /** Gives what differs from the source, for people; null: nothing. Rejects with ProgramFailed where the dump is not to be restored. */
  async database(database: DumpedDatabase, file: string): Promise<string | null> {
    const difference = await this.#create(database)
    const { name } = database
    await this.#run('salvor_sandbox', name, ['--section=pre-data', file])
    await this.#sql(name, LET_LOAD.replace('DBNAME', ident(name)))
    await this.#run(LOADER, name, ['--section=data', file])
    await this.#run('salvor_sandbox', name, ['--section=post-data', file])
    return difference
  }

  async #create({
    name,
    encoding,
    collate,
    ctype,
    provider,
    locale,
    extensions,
  }: DumpedDatabase): Promise<string | null> {
    await using link = await this.#sandbox.connect('template1', this.#signal)
    await this.#assertExtensions(
      link,
      extensions.map((extension) => extension.name),
    )
    const there = await link.rows(
      `SELECT FROM pg_database WHERE datname = ${literal(name)}`,
      COMMAND_IDLE_MS,
      this.#signal,
    )
    if (there[0]?.count === 1) await link.rows(`DROP DATABASE ${ident(name)}`, COMMAND_IDLE_MS, this.#signal)
    const base = `CREATE DATABASE ${ident(name)} TEMPLATE template0 ENCODING ${literal(encoding)}`
    const own = `LC_COLLATE ${literal(collate)} LC_CTYPE ${literal(ctype)}`
    if (provider === 'libc' && (await this.#tried(link, `${base} ${own}`))) return null
    const words = locale === null ? '' : `${provider === 'icu' ? 'ICU_LOCALE' : 'BUILTIN_LOCALE'} ${literal(locale)}`
    if (provider !== 'libc' && (await this.#tried(link, `${base} LOCALE_PROVIDER ${provider} ${words} ${own}`)))
      return null
    await link.rows(`${base} LC_COLLATE 'C' LC_CTYPE 'C'`, CREATE_MS, this.#signal)
    return `${name} is sorted by C here, not by ${locale ?? collate}`
  }

  async #tried(link: Link, sql: string): Promise<boolean> {
    try {
      await link.rows(sql, CREATE_MS, this.#signal)
      return true
    } catch (error) {
      if (error instanceof ServerError && !error.fatal) return false
      throw error
    }
  }

  async #assertExtensions(link: Link, wanted: readonly string[]): Promise<void> {
    const [set] = await link.rows('SELECT name FROM pg_available_extensions', COMMAND_IDLE_MS, this.#signal)
    const here = new Set(set?.rows.map(([name]) => name))
    const missing = wanted.filter((name) => !here.has(name))
    if (missing.length === 0) return
    const fix = 'install them for the PostgreSQL named in verifier.postgres_bin, or name another one there'
    throw new SalvorError('CANNOT_VERIFY_HERE', {
      what: this.#context.source,
      missing: `the extension ${missing.join(', ')}`,
      fix,
    })
  }

  async #sql(database: string, sql: string): Promise<void> {
    await using link = await this.#sandbox.connect(database, this.#signal)
    await link.rows(sql, CREATE_MS, this.#signal)
  }

  async #run(user: string, database: string, args: readonly string[]): Promise<void> {
    const address = sandboxAddress(this.#sandbox, user)
    const { env, conninfo } = await clientFiles(this.#secrets, address, this.#program, this.#context.source)
    const all = ['--no-tablespaces', '--no-password', `--dbname=${conninfo(database)}`, ...args]
    const command = { program: this.#program.path, args: all, env, input: 'ignore', folder: this.#folder } as const
    await using process = new ClientProcess(command)
    const stop = () => void process[Symbol.asyncDispose]()
    this.#signal.addEventListener('abort', stop, { once: true })
    try {
      await process.end()
    } catch (error) {
      this.#signal.throwIfAborted()
      if (!(error instanceof ProgramFailed)) throw error
      if (/No space left on device|could not extend file/.test(error.message))
        throw new SalvorError('DISK_FULL', { what: this.#sandbox.folder }, error)
      throw lackSaid(error.message, this.#context.source) ?? error
    } finally {
      this.#signal.removeEventListener('abort', stop)
    }
    this.#signal.throwIfAborted()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    closeSync(this.#folder)
    await rm(this.#secrets, { recursive: true, force: true })
  }
}

const CREATE_MS = 600_000
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** As a child sees it: through descriptor 3, since the path of a socket may be 107 bytes at most. */
export function sandboxAddress(sandbox: Sandbox, user: string): Address {
  return {
    host: process.platform === 'linux' ? '/proc/self/fd/3/socket' : join(sandbox.folder, 'socket'),
    port: 5432,
    user,
    password: null,
    database: 'template1',
    sslmode: 'disable',
    sslrootcert: null,
    sslcert: null,
    sslkey: null,
    channelBinding: 'disable',
    connectSeconds: 30,
    allowCleartext: false,
  }
}
