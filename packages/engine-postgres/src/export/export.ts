import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EngineContext } from '@salvor/shared/ports/engine'
import type { ExportedFile, ExportRequest } from '@salvor/shared/ports/reading'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { folderOf } from '../logical/contents.ts'
import { DumpProof } from '../logical/prove.ts'
import { isLogical } from '../logical/restore.ts'
import { serverPrograms } from '../sandbox/programs.ts'
import { Sandbox } from '../sandbox/sandbox.ts'
import { databases } from '../sandbox/tables.ts'
import { exportDumpSql } from './dump-sql.ts'
import { exportCsv } from './csv.ts'
import { exportGlobals, exportSql } from './sql.ts'

/** A server around what was restored, and what its programs need. */
export interface Exporting {
  readonly context: EngineContext
  readonly request: ExportRequest
  readonly sandbox: Sandbox
  readonly major: number
  /** Descriptor of the sandbox's folder. */
  readonly socket: number
  /** A private folder. */
  readonly secrets: string
  readonly signal: AbortSignal
}

/** Databases of a restored copy, physical or logical, as SQL or CSV, read out of a server that nobody else reaches. */
export async function exportCopy(
  context: EngineContext,
  request: ExportRequest,
  signal: AbortSignal,
): Promise<readonly ExportedFile[]> {
  if (isLogical(request.engine_facts) && request.format === 'sql') return await exportDumpSql(context, request, signal)
  await using server = await (isLogical(request.engine_facts) ? loaded : recovered)(context, request, signal)
  const { sandbox, major } = server
  const socket = openSync(sandbox.folder, 'r')
  const secrets = await mkdtemp(join(context.scratch_dir, 'client-'))
  try {
    return await exportAll({ context, request, sandbox, major, socket, secrets, signal })
  } finally {
    closeSync(socket)
    await rm(secrets, { recursive: true, force: true })
  }
}

interface Server extends AsyncDisposable {
  readonly sandbox: Sandbox
  readonly major: number
}

async function recovered(context: EngineContext, { restored }: ExportRequest, signal: AbortSignal): Promise<Server> {
  const major = Number((await readFile(join(restored, 'PG_VERSION'), 'latin1')).trim())
  await using kept = new AsyncDisposableStack()
  const programs = kept.use(await serverPrograms(context.source, major, context.server_programs))
  const sandbox = kept.use(await Sandbox.around(restored, context.scratch_dir, programs.bin, major))
  const started = (await sandbox.recover(signal)) && (await sandbox.start(signal))
  if (!started) throw new SalvorError('RESTORE_FAILED', { target: restored, reason: await sandbox.lastWords() })
  const all = kept.move()
  return { sandbox, major, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

async function loaded(context: EngineContext, request: ExportRequest, signal: AbortSignal): Promise<Server> {
  const proof = await DumpProof.open(context, request.restored, request.engine_facts, signal)
  await using kept = new AsyncDisposableStack()
  const cluster = kept.use(await proof.cluster())
  if (!(await proof.load(cluster))) {
    const reason = proof.checks.find(({ ok }) => !ok)?.detail ?? 'it does not come back'
    throw new SalvorError('RESTORE_FAILED', { target: request.restored, reason })
  }
  const { sandbox, major } = cluster
  const all = kept.move()
  return { sandbox, major, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

async function exportAll(exporting: Exporting): Promise<readonly ExportedFile[]> {
  const { request, sandbox, signal } = exporting
  const there = await databases(sandbox, signal)
  const named = request.parts?.databases ?? []
  const unknown = named.find((name) => !there.includes(name))
  if (unknown !== undefined) throw usage(`the backup has no database ${unknown}; it has ${there.join(', ')}`)
  const wanted = named.length > 0 ? named : there.filter((name) => name !== 'template1')
  const files: ExportedFile[] = []
  const isWhole = named.length === 0 && !request.parts?.tables?.length && !request.parts?.schemas?.length
  if (request.format === 'sql' && isWhole) files.push(await exportGlobals(exporting))
  for (const [i, database] of wanted.entries()) {
    const base = folderOf(i, database).replace('databases/', '')
    files.push(...(await (request.format === 'sql' ? exportSql : exportCsv)(exporting, database, base)))
  }
  const objects = [...(request.parts?.tables ?? []), ...(request.parts?.schemas ?? [])]
  if (objects.length > 0 && files.length === 0) throw usage(`the backup has no ${objects.join(', ')}`)
  return files
}

const usage = (reason: string): SalvorError => new SalvorError('USAGE', { reason, command: 'export' })
