import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EngineContext, RestoreRequest } from '@salvor/shared/ports/engine'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { whereIs, type Address } from '../connect/address.ts'
import { addressBeside, openLink } from '../connect/open-link.ts'
import { COMMAND_IDLE_MS } from '../connect/session.ts'
import { Link } from '../protocol/link.ts'
import { ServerError } from '../protocol/server-error.ts'
import { ClientProcess, ProgramFailed } from './client-process.ts'
import type { Contents, DumpedDatabase, DumpEnd } from './contents.ts'
import { hasObjects, objectArguments, schemasOf, wantedDatabases } from './parts.ts'
import type { ClientProgram } from './programs.ts'
import { readDump, type DumpReader } from './read-archive.ts'
import { restoreProgram } from './restore-program.ts'
import { makeRoles } from './roles.ts'
import { compareRows, ident } from './row-counts.ts'
import { clientFiles } from './service-file.ts'
import { targetEnvironment } from './target-server.ts'

/** Streams a dump into databases of a running server, each made anew, or there and empty. What it made is dropped when it fails. */
export async function restoreToServer(
  context: EngineContext,
  chunks: AsyncIterable<Uint8Array>,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<Check[]> {
  const env = targetEnvironment(context, request.target)
  const program = await restoreProgram(context, request.engine_facts)
  await using link = await openLink(env, 'sql', signal)
  const secrets = await mkdtemp(join(context.scratch_dir, 'client-'))
  const reach = (database: string) => addressBeside(env, link, 'sql', database)
  const restoring = new Restoring(context, { link, program, secrets, reach }, request, signal)
  try {
    await readDump(chunks, restoring)
    return restoring.checks
  } catch (error) {
    const left = await restoring.takeBack()
    signal.throwIfAborted()
    throw restoreFailed(error, request.target, left)
  } finally {
    await rm(secrets, { recursive: true, force: true })
  }
}

function restoreFailed(error: unknown, target: string, left: readonly string[]): unknown {
  if (!(error instanceof ProgramFailed) && !(error instanceof ServerError)) return error
  const kept = left.length === 0 ? '' : `; what was put into ${left.join(', ')} is left there`
  return new SalvorError('RESTORE_FAILED', { target, reason: `${error.message}${kept}` }, error)
}

interface Reached {
  readonly link: Link
  readonly program: ClientProgram
  readonly secrets: string
  readonly reach: (database: string) => Promise<Address>
}

class Restoring implements DumpReader {
  readonly #context: EngineContext
  readonly #reached: Reached
  readonly #request: RestoreRequest
  readonly #signal: AbortSignal
  #wanted: readonly DumpedDatabase[] = []
  /** Databases that were there, and are empty. */
  readonly #there = new Set<string>()
  readonly #made: string[] = []
  readonly #touched: string[] = []
  #process: ClientProcess | null = null
  #began = ''
  #superuser = false
  readonly checks: Check[] = []

  constructor(context: EngineContext, reached: Reached, request: RestoreRequest, signal: AbortSignal) {
    this.#context = context
    this.#reached = reached
    this.#request = request
    this.#signal = signal
  }

  async #connect(database: string): Promise<Link> {
    return await Link.open(await this.#reached.reach(database), 'sql', this.#signal)
  }

  /** Every database that is to come is looked at before the first byte goes anywhere. */
  async contents(contents: Contents): Promise<void> {
    const [role] = await this.#reached.link.rows(SUPERUSER, COMMAND_IDLE_MS, this.#signal)
    this.#superuser = role?.rows[0]?.[0] === 't'
    this.#wanted = wantedDatabases(contents, this.#request.parts)
    for (const { name } of this.#wanted) {
      const sql = `SELECT FROM pg_database WHERE datname = ${literal(name)}`
      const [set] = await this.#reached.link.rows(sql, COMMAND_IDLE_MS, this.#signal)
      if (set?.count !== 1) continue
      this.#there.add(name)
      if (!hasObjects(this.#request.parts)) await this.#assertEmpty(name)
    }
  }

  async #assertEmpty(name: string): Promise<void> {
    await using link = await this.#connect(name)
    const [set] = await link.rows(OBJECTS, COMMAND_IDLE_MS, this.#signal)
    if (set?.rows[0]?.[0] === '0') return
    throw new SalvorError('TARGET_NOT_EMPTY', { target: `database ${name} at ${whereIs(link.address)}` })
  }

  async globals(sql: string): Promise<void> {
    const began = this.#context.now()
    if (hasObjects(this.#request.parts)) return
    const { made, refused, first } = await makeRoles(this.#reached.link, sql, this.#signal)
    const others = refused === 0 ? '' : `; ${refused} statements were refused, the first with SQLSTATE ${first}`
    this.#check('roles', `${made} made, those that were there are kept${others}`, began)
  }

  async begins(database: DumpedDatabase): Promise<boolean> {
    if (!this.#wanted.some(({ folder }) => folder === database.folder)) return false
    this.#began = this.#context.now()
    const { program, secrets, reach } = this.#reached
    const { connectTo, how } = await this.#prepared(database)
    const { env, conninfo } = await clientFiles(secrets, await reach(connectTo), program, this.#context.source)
    const fixed = ['--exit-on-error', '--no-tablespaces', '--no-password', `--dbname=${conninfo(connectTo)}`]
    this.#process = new ClientProcess({ program: program.path, args: [...fixed, ...how], env, input: 'pipe' })
    return true
  }

  /** A whole database is made by its dump, with its owner, rights and settings; parts come into one that is there, or a plain new one. */
  async #prepared({ name, encoding }: DumpedDatabase): Promise<{ connectTo: string; how: readonly string[] }> {
    const { link } = this.#reached
    const { parts } = this.#request
    const there = this.#there.has(name)
    if (there) this.#touched.push(name)
    else this.#made.push(name)
    // A role that is no superuser can give objects to nobody else.
    const owners = this.#superuser ? [] : ['--no-owner', '--no-comments']
    if (!hasObjects(parts)) {
      return there
        ? { connectTo: name, how: owners }
        : { connectTo: link.address.database, how: ['--create', ...owners] }
    }
    const create = `CREATE DATABASE ${ident(name)} TEMPLATE template0 ENCODING ${literal(encoding)}`
    if (!there) await link.rows(create, CREATE_MS, this.#signal)
    await using own = await this.#connect(name)
    for (const schema of schemasOf(parts!))
      await own.rows(`CREATE SCHEMA IF NOT EXISTS ${ident(schema)}`, CREATE_MS, this.#signal)
    return { connectTo: name, how: ['--no-owner', '--no-privileges', ...objectArguments(parts!)] }
  }

  async bytes(part: Buffer): Promise<void> {
    this.#signal.throwIfAborted()
    if (await this.#process!.write(part)) return
    // It has what it wanted, or failed.
    await this.#process!.end()
  }

  async ends({ name }: DumpedDatabase, end: DumpEnd): Promise<void> {
    const process = this.#process!
    process.endInput()
    const stop = () => void process[Symbol.asyncDispose]()
    this.#signal.addEventListener('abort', stop, { once: true })
    await process.end().finally(() => this.#signal.removeEventListener('abort', stop))
    this.#signal.throwIfAborted()
    this.#process = null
    const detail = await this.#compared(name, end)
    this.#check(`database ${name}`, detail, this.#began)
  }

  async #compared(name: string, { tables, consistent_at }: DumpEnd): Promise<string> {
    if (hasObjects(this.#request.parts)) return `what was asked for, of ${consistent_at}`
    await using link = await this.#connect(name)
    const { same, differs } = await compareRows(link, tables, this.#signal)
    if (differs !== null) throw new ProgramFailed(`database ${name}: ${differs}`, 1)
    const owner = this.#superuser ? '' : '; all of it belongs to the role that restored it, which is no superuser'
    return `state of ${consistent_at}; ${same} tables have the rows that were counted then${owner}`
  }

  #check(name: string, detail: string, began: string): void {
    const duration_ms = Math.round(elapsedMs(began, this.#context.now()))
    this.checks.push({ name, ok: true, detail, duration_ms })
  }

  /** Drops the databases that this restore made. Gives those in which something of it is left. */
  async takeBack(): Promise<readonly string[]> {
    await this.#process?.[Symbol.asyncDispose]()
    const left = [...this.#touched]
    const own = new AbortController().signal
    for (const name of this.#made) {
      try {
        await using link = await Link.open(this.#reached.link.address, 'sql', own)
        await link.rows(`DROP DATABASE IF EXISTS ${ident(name)} WITH (FORCE)`, COMMAND_IDLE_MS, own)
      } catch {
        left.push(name)
      }
    }
    return left
  }
}

const CREATE_MS = 600_000
const SUPERUSER = 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user'
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** Relations, functions and types that are nobody's but the database's own. */
const OBJECTS = `
  SELECT (SELECT count(*) FROM pg_class c WHERE ${isOwn('pg_class', 'c.oid', 'relnamespace')})
    + (SELECT count(*) FROM pg_proc p WHERE ${isOwn('pg_proc', 'p.oid', 'pronamespace')})
    + (SELECT count(*) FROM pg_type t WHERE ${isOwn('pg_type', 't.oid', 'typnamespace')})
    + (SELECT count(*) FROM pg_largeobject_metadata)`

function isOwn(catalog: string, oid: string, namespace: string): string {
  return `${namespace} NOT IN (SELECT oid FROM pg_namespace WHERE nspname = 'information_schema' OR nspname ~ '^pg_')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = '${catalog}'::regclass AND objid = ${oid} AND deptype = 'e')`
}
