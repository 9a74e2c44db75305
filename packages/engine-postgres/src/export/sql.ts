import type { ExportedFile } from '@salvor/shared/ports/reading'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sandboxAddress } from '../logical/load-sandbox.ts'
import { besides, clientProgram, type ClientProgramName } from '../logical/programs.ts'
import { clientFiles } from '../logical/service-file.ts'
import type { Exporting } from './export.ts'
import { ident, tablesOf } from './tables.ts'
import { writeOutput } from './write-output.ts'

const SANDBOX_ROLE = 'salvor_sandbox'
const OF_THE_SANDBOX = new RegExp(`^(?:CREATE|ALTER) ROLE ${SANDBOX_ROLE}\\b`)
const GLOBALS = 'globals.sql'

/** A database of a physical backup as statements for psql. */
export async function exportSql(exporting: Exporting, database: string, base: string): Promise<ExportedFile[]> {
  const { request, sandbox, signal } = exporting
  const { schemas = [], tables = [] } = request.parts ?? {}
  const named = [...tables, ...schemas]
  const patterns: string[] = []
  if (named.length > 0) {
    await using link = await sandbox.connect(database, signal)
    const found = await tablesOf(link, request.parts, signal)
    if (found.length === 0) return []
    // pg_dump leaves out what --schema would bring where --table is there.
    if (tables.length > 0) patterns.push(...found.map(({ quoted }) => `--table=${quoted}`))
    else patterns.push(...schemas.map((schema) => `--schema=${ident(schema)}`))
  }
  const file = `${base}.sql`
  await run(exporting, 'pg_dump', ['--format=plain', ...(named.length > 0 ? patterns : ['--create'])], {
    database,
    file,
  })
  return [{ file, what: named.length > 0 ? `${database}: ${named.join(', ')}` : database, rows: null }]
}

/** Roles, without the one that the sandbox has made. */
export async function exportGlobals(exporting: Exporting): Promise<ExportedFile> {
  await run(exporting, 'pg_dumpall', ['--globals-only'], { database: 'template1', file: GLOBALS })
  const path = join(exporting.request.folder, GLOBALS)
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => !OF_THE_SANDBOX.test(line))
  await writeFile(path, lines.join('\n'), { mode: 0o600 })
  return { file: GLOBALS, what: 'roles and tablespaces', rows: null }
}

async function run(
  { context, request, sandbox, major, socket, secrets, signal }: Exporting,
  name: ClientProgramName,
  args: readonly string[],
  { database, file }: { readonly database: string; readonly file: string },
): Promise<void> {
  const dumper = await clientProgram(context.source, 'pg_dump', major, context.server_programs)
  const program = name === 'pg_dump' ? dumper : besides(dumper, name)
  const { env, conninfo } = await clientFiles(secrets, sandboxAddress(sandbox, SANDBOX_ROLE), program, context.source)
  const all = [...args, '--no-password', `--dbname=${conninfo(database)}`]
  const command = { program: program.path, args: all, env, folder: socket }
  await writeOutput(context, command, { file: join(request.folder, file), what: database }, signal)
}
