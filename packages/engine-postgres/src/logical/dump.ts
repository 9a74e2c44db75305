import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { epochMicros, type Instant } from '@salvor/shared/vocabulary/instant'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { whereIs } from '../connect/address.ts'
import { addressBeside, openLink } from '../connect/open-link.ts'
import { copyFailure, loginFailure } from '../failures.ts'
import { Link } from '../protocol/link.ts'
import { ClientProcess, ProgramFailed } from './client-process.ts'
import {
  CONTENTS,
  endName,
  GLOBALS,
  LONGEST_TEXT,
  type Contents,
  type DumpedDatabase,
  type DumpEnd,
  type LeftOut,
} from './contents.ts'
import type { LogicalEnvironment } from './environment.ts'
import { MemberWriter } from './member-writer.ts'
import { besides, clientProgram, type ClientProgram } from './programs.ts'
import { chosenDatabases, dumpServer, extensionsOf, type DumpServer } from './server.ts'
import { clientFiles } from './service-file.ts'
import { holdSnapshot } from './held-snapshot.ts'

/**
 * Dumps the chosen databases one after the other, each in a state of its own, and the roles first, as one tar. Nothing of it
 * is ever whole on this machine's disk.
 */
export async function dump(env: LogicalEnvironment, sink: SnapshotSink, signal: AbortSignal): Promise<SnapshotFacts> {
  await using link = await openLink(env, 'sql', signal)
  const { source, server_programs: folders, scratch_dir } = env.context
  const secrets = await mkdtemp(join(scratch_dir, 'client-'))
  try {
    const server = await dumpServer(link, source, signal)
    const program = await clientProgram(source, 'pg_dump', server.major, folders)
    const chosen = await chosenDatabases(link, source, env.choice, signal)
    const run = new Dump(env, { link, server, program, secrets }, sink, signal)
    return await run.all(chosen.databases, chosen.leftOut)
  } catch (error) {
    signal.throwIfAborted()
    throw copyFailure(error, source, link.address)
  } finally {
    await rm(secrets, { recursive: true, force: true })
  }
}

interface Reached {
  readonly link: Link
  readonly server: DumpServer
  readonly program: ClientProgram
  /** A private folder for what its programs need to log in. */
  readonly secrets: string
}

type Database = Omit<DumpedDatabase, 'extensions'>

class Dump {
  readonly #env: LogicalEnvironment
  readonly #reached: Reached
  readonly #out: MemberWriter
  readonly #signal: AbortSignal
  readonly #began: Instant
  #done = 0
  #total: number | null = 0

  constructor(env: LogicalEnvironment, reached: Reached, sink: SnapshotSink, signal: AbortSignal) {
    this.#env = env
    this.#reached = reached
    this.#began = env.context.now()
    this.#out = new MemberWriter(sink, Number(epochMicros(this.#began) / 1_000_000n))
    this.#signal = signal
  }

  async all(databases: readonly Database[], leftOut: readonly LeftOut[]): Promise<SnapshotFacts> {
    const { server, program, link } = this.#reached
    for (const { size_bytes: size } of databases) {
      this.#total = this.#total === null || size === null ? null : this.#total + size
    }
    const described: DumpedDatabase[] = []
    for (const database of databases) described.push({ ...database, extensions: await this.#extensions(database) })
    const { sql, passwords } = await this.#globals()
    const contents: Contents = {
      format: 'salvor-dump',
      version: 1,
      server_version: server.version,
      server_version_num: server.versionNum,
      dump_version: program.version,
      role_passwords: passwords,
      databases: described,
      left_out: [...leftOut],
    }
    await this.#out.file(CONTENTS, json(contents))
    await this.#out.file(GLOBALS, sql)
    let consistentAt: Instant | null = null
    for (const database of databases) consistentAt = earlier(consistentAt, await this.#database(database))
    await this.#out.end()
    const consistent_at = consistentAt ?? this.#began
    return {
      source_db: whereIs(link.address),
      consistent_at,
      engine_facts: {
        method: 'logical',
        server_version_num: server.versionNum,
        dump_version: program.version,
        databases: databases.length,
        role_passwords: passwords,
        standby: server.standby,
        consistent_at,
      },
      notices: dumpNotices({ ...server, rolePasswords: passwords }, leftOut),
      digests: null,
    }
  }

  async #extensions({ name }: Database): Promise<DumpedDatabase['extensions']> {
    await using link = await this.#connect(name)
    return await extensionsOf(link, this.#signal)
  }

  async #connect(database: string): Promise<Link> {
    const address = await addressBeside(this.#env, this.#reached.link, 'sql', database)
    try {
      return await Link.open(address, 'sql', this.#signal)
    } catch (error) {
      this.#signal.throwIfAborted()
      throw loginFailure(error, this.#env.context.source, address)
    }
  }

  /** Roles, their memberships and settings, tablespaces. Some servers let nobody read passwords, whatever was granted. */
  async #globals(): Promise<{ sql: Buffer; passwords: boolean }> {
    if (this.#reached.server.rolePasswords) {
      try {
        return { sql: await this.#pgDumpall([]), passwords: true }
      } catch (error) {
        if (!(error instanceof SalvorError) || error.code !== 'SOURCE_PRIVILEGE_MISSING') throw error
      }
    }
    return { sql: await this.#pgDumpall(['--no-role-passwords']), passwords: false }
  }

  /** In memory: it may hold password hashes. */
  async #pgDumpall(more: readonly string[]): Promise<Buffer> {
    const { database } = this.#reached.link.address
    const program = besides(this.#reached.program, 'pg_dumpall')
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of this.#run(program, ['--globals-only', `--database=${database}`, ...more], database)) {
      bytes += chunk.length
      if (bytes > LONGEST_TEXT) throw this.#failed('pg_dumpall', 'the roles', new ProgramFailed('it is too long', 1))
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  /** Gives the instant whose state it holds. */
  async #database({ name, folder }: Database): Promise<Instant> {
    const { server, program } = this.#reached
    const consistent_at = this.#env.context.now()
    await using held = await holdSnapshot(await this.#connect(name), this.#signal)
    const args = [
      '--format=custom',
      // The repository compresses.
      '--compress=0',
      `--snapshot=${held.snapshot}`,
      `--lock-wait-timeout=${this.#env.dumpDeadlines.lock_ms}`,
      ...(server.standby ? ['--no-unlogged-table-data'] : []),
    ]
    const dumped = await this.#out.parts(folder, this.#run(program, args, name), (bytes) => this.#progress(name, bytes))
    const { tables, uncounted } = await held.counts(this.#env.dumpDeadlines.count_ms)
    const end: DumpEnd = { ...dumped, consistent_at, lsn: held.lsn, tables, uncounted }
    await this.#out.file(endName(folder), json(end))
    return consistent_at
  }

  async *#run(program: ClientProgram, args: readonly string[], database: string): AsyncGenerator<Buffer> {
    const { first_ms, idle_ms } = this.#env.dumpDeadlines
    const { source } = this.#env.context
    const { link, secrets } = this.#reached
    const address = await addressBeside(this.#env, link, 'sql', database)
    const { env, conninfo } = await clientFiles(secrets, address, program, source)
    const own = ['--no-password', `--dbname=${conninfo(database)}`]
    await using process = new ClientProcess({ program: program.path, args: [...args, ...own], env, input: 'ignore' })
    const stop = () => void process[Symbol.asyncDispose]()
    this.#signal.addEventListener('abort', stop, { once: true })
    try {
      for await (const chunk of process.output((first) => (first ? first_ms : idle_ms))) {
        this.#signal.throwIfAborted()
        yield chunk
      }
      this.#signal.throwIfAborted()
      await process.end()
    } catch (error) {
      this.#signal.throwIfAborted()
      throw this.#failed(program.path.slice(program.path.lastIndexOf('/') + 1), database, error)
    } finally {
      this.#signal.removeEventListener('abort', stop)
    }
  }

  #failed(program: string, what: string, error: unknown): unknown {
    if (!(error instanceof ProgramFailed)) return error
    const { source } = this.#env.context
    const { user } = this.#reached.link.address
    // pg_dump waits for locks by a timeout of its statement.
    const locked = /canceling statement due to statement timeout/.test(error.message)
    const seconds = this.#env.dumpDeadlines.lock_ms / 1000
    const reason = locked ? `another session locked a table for more than ${seconds} s` : error.message
    const denied = /permission denied for (.+)|must be (?:superuser|owner)|row-level security/.exec(error.message)
    if (denied === null) return new SalvorError('DUMP_FAILED', { source, program, what, reason }, error)
    const grant =
      this.#reached.server.major >= 14
        ? `GRANT pg_read_all_data TO ${user};`
        : `GRANT SELECT ON ALL TABLES IN SCHEMA … TO ${user};`
    const fix = `${grant} (row security: ALTER ROLE ${user} BYPASSRLS;)`
    return new SalvorError(
      'SOURCE_PRIVILEGE_MISSING',
      { source, user, what: `dump ${what} (${error.message})`, fix },
      error,
    )
  }

  #progress(database: string, bytes: number): void {
    this.#done += bytes
    this.#env.context.progress({ phase: `dump ${database}`, done_bytes: this.#done, total_bytes: this.#total })
  }
}

const earlier = (a: Instant | null, b: Instant): Instant => (a === null || b < a ? b : a)
const json = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value, null, 1)}\n`)

/** What a dump lacks that a person may think is in it. */
export function dumpNotices({ rolePasswords, standby }: DumpServer, leftOut: readonly LeftOut[]): string[] {
  const lost = leftOut.filter(({ reason }) => reason.startsWith('the role'))
  return [
    'logical dump: each database is in a state of its own; no incrementals, no restore to an instant',
    ...(rolePasswords ? [] : ['the roles are dumped without their passwords: the role may not read them (pg_authid)']),
    ...(lost.length === 0
      ? []
      : [`not dumped, since the role may not connect: ${lost.map(({ name }) => name).join(', ')}`]),
    ...(standby
      ? [
          'the server is a standby: it may cancel a long dump (max_standby_streaming_delay); unlogged tables come without rows',
        ]
      : []),
  ]
}
