import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { ByteSink, EngineContext, RestoreFacts, RestoreRequest, SnapshotFacts } from '@salvor/shared/ports/engine'
import { reported } from '../fill.ts'
import { assertTarget } from '../target.ts'
import { TarInvalid } from '../tar/header.ts'
import { hasObjects } from './parts.ts'
import { restoreToFolder } from './restore-to-folder.ts'
import { restoreToServer } from './restore-to-server.ts'
import { assertServerUrl, isServerUrl } from './target-server.ts'

/** The backup was made by pg_dump. */
export const isLogical = (facts: SnapshotFacts['engine_facts']): boolean => facts['method'] === 'logical'

/** USAGE: a dump is not laid over files. */
export function assertNoDump(facts: SnapshotFacts['engine_facts']): void {
  if (isLogical(facts)) throw usage('a logical backup is no data folder: restore it without --delta')
}

/** A new folder of dump files, or a running server; never in place of a data folder. */
export async function assertDumpTarget(target: string, inPlace: boolean): Promise<void> {
  if (inPlace)
    throw usage('a logical backup does not replace a data folder; restore it into a server: --to postgres://…')
  if (isServerUrl(target)) assertServerUrl(target)
  else await assertTarget(target, false)
}

export async function restoreDump(
  context: EngineContext,
  content: ArtifactContent,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreFacts> {
  const { target } = request
  if (request.delta) assertNoDump(request.engine_facts)
  await assertDumpTarget(target, request.in_place)
  const recovered_to = instantOf(request, target)
  const toServer = isServerUrl(target)
  if (!toServer && hasObjects(request.parts))
    throw usage('--schema and --table need a server to restore into: --to postgres://…')
  const chunks = reported(context, content, signal)
  try {
    const checks = toServer
      ? await restoreToServer(context, chunks, request, signal)
      : await restoreToFolder(context, chunks, content, request, signal)
    return { recovered_to, checks }
  } catch (error) {
    signal.throwIfAborted()
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT') throw new SalvorError('DISK_FULL', { what: target }, error)
    if (error instanceof TarInvalid || error instanceof SyntaxError) throw failed(target, error.message, error)
    throw error
  }
}

/** The dumps and what lies beside them, as the tar that they are kept in. */
export async function streamDump(
  context: EngineContext,
  content: ArtifactContent,
  request: Pick<RestoreRequest, 'engine_facts' | 'recovery' | 'parts'>,
  sink: ByteSink,
  signal: AbortSignal,
): Promise<RestoreFacts> {
  if (request.parts) throw usage('parts of a logical backup need a folder or a server: --to')
  const recovered_to = instantOf(request, 'the stream')
  for await (const chunk of reported(context, content, signal)) await sink(chunk)
  return { recovered_to, checks: [] }
}

export function assertNotStarted(facts: SnapshotFacts['engine_facts']): void {
  if (isLogical(facts)) throw usage('a logical backup is not started: restore it into a server: --to postgres://…')
}

function instantOf(
  { engine_facts, recovery }: Pick<RestoreRequest, 'engine_facts' | 'recovery'>,
  target: string,
): string {
  if (recovery) throw usage('a logical backup cannot be replayed to an instant')
  const at = engine_facts['consistent_at']
  if (typeof at !== 'string') throw failed(target, 'its manifest does not say when the backup was taken')
  return at
}

const usage = (reason: string): SalvorError => new SalvorError('USAGE', { reason, command: 'restore' })
const failed = (target: string, reason: string, cause?: unknown): SalvorError =>
  new SalvorError('RESTORE_FAILED', { target, reason }, cause)
