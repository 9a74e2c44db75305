import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { ByteSink, EngineContext, RestoreFacts, RestoreRequest } from '@salvor/shared/ports/engine'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import { compareWithManifest } from '../data-folder/compare.ts'
import { readControlFile } from '../data-folder/control-file.ts'
import { standAlone } from '../data-folder/settings.ts'
import { segmentsOf } from '../data-folder/wal-segments.ts'
import { assertIdentity, check, reported } from '../fill.ts'
import { instantOfFacts, restore, restoreFailure } from '../restore.ts'
import { tablespacesOf } from '../tablespaces/facts.ts'
import { dropMap } from '../tablespaces/map.ts'
import { packFile, packFolder, streamFolder } from './pack.ts'
import { assertPassedWal, END_OF_ARCHIVE, passMembers } from './passing.ts'

export type StreamRequest = Omit<RestoreRequest, 'target' | 'in_place' | 'tablespaces'>

const TARGET = 'the stream'

/**
 * A restored data folder as one tar. A full passes by as it comes; the end of the archive is written only when every file was
 * what the manifest says. A chain, WAL to be replayed, or some of the databases alone are put together in the scratch folder first.
 */
export async function restoreStream(
  context: EngineContext,
  content: ArtifactContent,
  request: StreamRequest,
  sink: ByteSink,
  signal: AbortSignal,
): Promise<RestoreFacts> {
  const { increments = [], recovery, parts } = request
  const staged = increments.length > 0 || recovery !== undefined || parts !== undefined
  try {
    return await (staged ? pack : pass)(context, content, request, sink, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw restoreFailure(error, TARGET)
  }
}

async function pass(
  context: EngineContext,
  content: ArtifactContent,
  { engine_facts }: StreamRequest,
  sink: ByteSink,
  signal: AbortSignal,
): Promise<RestoreFacts> {
  const request = { target: TARGET, in_place: false, engine_facts }
  const recovered_to = instantOfFacts(request)
  const began = context.now()
  const folder = streamFolder(context.scratch_dir)
  await mkdir(folder, { mode: 0o700 })
  const journal = join(context.scratch_dir, 'passed.journal')
  const passed = await passMembers(reported(context, content, signal), folder, journal, sink)
  const compared = await compareWithManifest(join(folder, 'backup_manifest'), journal, signal)
  const control = await readControlFile(folder)
  const wanted = compared.walRanges.flatMap((range) => segmentsOf(range, control.walSegmentBytes))
  assertPassedWal(passed, wanted, control.walSegmentBytes)
  await assertIdentity(folder, control, request)
  await dropMap(folder, tablespacesOf(engine_facts), signal)
  await standAlone(folder, control)
  for (const name of ['postgresql.auto.conf', 'postgresql.conf', 'pg_hba.conf', 'pg_ident.conf', 'backup_manifest'])
    await packFile(folder, name, sink)
  await sink(END_OF_ARCHIVE)
  const detail = `${compared.files} files, ${compared.bytes} bytes match`
  return { recovered_to, checks: [check('backup_manifest', detail, elapsedMs(began, context.now()))] }
}

async function pack(
  context: EngineContext,
  content: ArtifactContent,
  request: StreamRequest,
  sink: ByteSink,
  signal: AbortSignal,
): Promise<RestoreFacts> {
  const target = streamFolder(context.scratch_dir)
  const restored = await restore(
    context,
    content,
    { ...request, target, in_place: false, tablespaces: 'inside' },
    signal,
  )
  await packFolder(target, sink, signal)
  return restored
}
