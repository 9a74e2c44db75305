import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { EngineContext, Increment, RestoreFacts, RestoreRequest } from '@salvor/shared/ports/engine'
import { elapsedMs, epochMicros, type Instant } from '@salvor/shared/vocabulary/instant'
import { shownTarget } from '@salvor/shared/vocabulary/recovery'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ManifestInvalid } from './base-backup/manifest-spool.ts'
import { restoreChain } from './combine/restore-chain.ts'
import { compareWithManifest, FilesDiffer, type Compared } from './data-folder/compare.ts'
import { ControlFileUnknown, readControlFile, type ControlFile } from './data-folder/control-file.ts'
import { Journal } from './data-folder/journal.ts'
import { makeStage, putInPlace, removeStage, type Stage } from './data-folder/put-in-place.ts'
import { ReadBack } from './data-folder/read-back.ts'
import { ownerFor, settle } from './data-folder/settle.ts'
import { standAlone } from './data-folder/settings.ts'
import { unpack } from './data-folder/unpack.ts'
import { segmentsOf } from './data-folder/wal-segments.ts'
import { isServerUrl } from './logical/target-server.ts'
import { fetchWal } from './recovery/fetch-wal.ts'
import { writeRecovery } from './recovery/settings.ts'
import { tablespacesOf } from './tablespaces/facts.ts'
import { dropMap } from './tablespaces/map.ts'
import { choosePlaces, type Placed } from './tablespaces/places.ts'
import { TablespaceStages } from './tablespaces/stages.ts'
import { assertTarget } from './target.ts'
import { TarInvalid } from './tar/header.ts'

/** A backup as a data folder that a server can be started in. What was there stays until everything was checked. */
export async function restore(
  context: EngineContext,
  content: ArtifactContent,
  asked: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreFacts> {
  // What comes back is the state of the newest increment.
  const request = { ...asked, engine_facts: asked.increments?.at(-1)?.engine_facts ?? asked.engine_facts }
  if (isServerUrl(request.target)) throw new SalvorError('USAGE', NO_SERVER)
  if (request.parts) throw new SalvorError('USAGE', NO_PARTS)
  const target = resolve(request.target)
  await assertTarget(target, request.in_place)
  const placed = await choosePlaces(request, target)
  const recoveredTo = instantOfFacts(request)
  let stage: Stage | null = null
  try {
    stage = await makeStage(target)
    const owner = await ownerFor(target)
    await using tablespaces = await TablespaceStages.make(stage.path, placed)
    const checks = await fill(context, stage.path, { content, request, tablespaces }, signal)
    await tablespaces.finish(owner, signal)
    await settle(stage.path, owner, signal)
    await assertTarget(target, request.in_place)
    await choosePlaces(request, target)
    const kept = await putInPlace(stage, target, context.now(), tablespaces.staged)
    tablespaces.keep()
    if (placed.length > 0) checks.push(placesCheck(placed))
    if (kept.length > 0) checks.push(keptCheck(kept))
    return { recovered_to: request.recovery?.recovers_to ?? recoveredTo, checks }
  } catch (error) {
    if (stage !== null) removeStage(stage)
    signal.throwIfAborted()
    throw restoreFailure(error, target)
  }
}

const NO_SERVER = { reason: 'a physical backup comes back as a data folder: name one after --to', command: 'restore' }
const NO_PARTS = {
  reason: 'a physical backup comes back whole; take one database or table out of it with salvor export',
  command: 'restore',
}

interface Filling {
  readonly content: ArtifactContent
  readonly request: RestoreRequest
  readonly tablespaces: TablespaceStages
}

/** Unpacks into `folder` and compares every file with the manifest; the settings are made last, they are not in it. */
async function fill(
  context: EngineContext,
  folder: string,
  { content, request, tablespaces }: Filling,
  signal: AbortSignal,
): Promise<Check[]> {
  const began = context.now()
  const journal = join(context.scratch_dir, 'unpacked.journal')
  const { increments = [] } = request
  const watched = (artifact: ArtifactContent) => reported(context, artifact, signal)
  if (increments.length === 0) {
    using files = new Journal(journal)
    await unpack(watched(content), folder, ({ name, size, crc }) => files.add(name, size, crc), tablespaces.folders)
    files.flush()
  } else {
    await using readBack = new ReadBack(folder, journal)
    const mtime = Number(epochMicros(began) / 1_000_000n)
    const target = { folder, there: tablespaces.folders, scratch: context.scratch_dir, readBack, watched, mtime }
    await restoreChain({ full: content, increments }, target, signal)
  }
  const unpacked = context.now()
  const compared = await compareWithManifest(join(folder, 'backup_manifest'), journal, signal)
  const control = await readControlFile(folder)
  const segments = await assertWal(folder, compared, control)
  await assertIdentity(folder, control, request)
  await dropMap(folder, tablespacesOf(request.engine_facts), signal)
  const { created } = await standAlone(folder, control)
  const done = context.now()
  const recovered = await prepareRecovery(context, folder, request, signal)
  return [
    check('unpacked', unpackedDetail(content, increments), elapsedMs(began, unpacked)),
    check('backup_manifest', `${compared.files} files, ${compared.bytes} bytes match`, elapsedMs(unpacked, done)),
    check('wal', `${segments} segments, up to the end of the backup`, 0),
    check('settings', settingsDetail(created), 0),
    ...recovered,
  ]
}

async function prepareRecovery(
  context: EngineContext,
  folder: string,
  { recovery }: RestoreRequest,
  signal: AbortSignal,
): Promise<Check[]> {
  if (!recovery) return []
  const began = context.now()
  const onBytes = (done_bytes: number): void => context.progress({ phase: 'fetch WAL', done_bytes, total_bytes: null })
  const bytes = await fetchWal(folder, recovery.wal, onBytes, signal)
  await writeRecovery(folder, recovery)
  const detail = `${recovery.wal.length} pieces of WAL, ${bytes} bytes; the server replays to ${shownTarget(recovery.target)} when it starts`
  return [check('recovery', detail, elapsedMs(began, context.now()))]
}

function unpackedDetail(content: ArtifactContent, increments: readonly Increment[]): string {
  const full = `${content.size} bytes of archive`
  return increments.length === 0 ? full : `${full}, and ${increments.length} incremental(s) on it`
}

export const check = (name: string, detail: string, milliseconds: number): Check => ({
  name,
  ok: true,
  detail,
  duration_ms: Math.round(milliseconds),
})

const keptCheck = (kept: readonly string[]): Check =>
  check('former data', `kept at ${kept.join(' and ')}; remove it when it is not needed`, 0)

const placesCheck = (placed: readonly Placed[]): Check =>
  check('tablespaces', placed.map(({ location, place }) => `${location} at ${place}`).join(', '), 0)

function settingsDetail(created: readonly string[]): string {
  const own = 'follows no other server, and archive_mode is off (last line of postgresql.auto.conf)'
  return created.length === 0 ? own : `${own}; made ${created.join(', ')}`
}

const PROGRESS_EVERY = 8 * 1024 * 1024

export async function* reported(
  context: EngineContext,
  content: ArtifactContent,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let done = 0
  let told = 0
  for await (const chunk of content.chunks(signal)) {
    signal.throwIfAborted()
    yield chunk
    done += chunk.length
    if (done - told < PROGRESS_EVERY && done < content.size) continue
    told = done
    context.progress({ phase: 'restore', done_bytes: done, total_bytes: content.size })
  }
}

async function assertWal(folder: string, compared: Compared, control: ControlFile): Promise<number> {
  const wanted = compared.walRanges.flatMap((range) => segmentsOf(range, control.walSegmentBytes))
  const found = new Set(await readdir(join(folder, 'pg_wal')))
  for (const name of wanted) {
    if (!found.has(name)) throw new FilesDiffer(`the WAL segment ${name} is missing`)
    const { size } = await stat(join(folder, 'pg_wal', name))
    if (size !== control.walSegmentBytes) throw new FilesDiffer(`the WAL segment ${name} has ${size} bytes`)
  }
  return wanted.length
}

export async function assertIdentity(
  folder: string,
  control: ControlFile,
  { engine_facts }: RestoreRequest,
): Promise<void> {
  const { system_id: systemId, server_version_num: version } = engine_facts
  if (typeof systemId === 'string' && systemId !== control.systemId) {
    throw new FilesDiffer('the data belong to another cluster than the backup says (system identifier)')
  }
  const major = (await readFile(join(folder, 'PG_VERSION'), 'latin1')).trim()
  if (typeof version === 'number' && String(Math.floor(version / 10_000)) !== major) {
    throw new FilesDiffer(`the data belong to PostgreSQL ${major}`)
  }
}

export function instantOfFacts({ engine_facts, target }: RestoreRequest): Instant {
  const { consistent_at: instant } = engine_facts
  if (typeof instant === 'string') return instant
  throw new SalvorError('RESTORE_FAILED', { target, reason: 'its manifest does not say when the backup was taken' })
}

export function restoreFailure(error: unknown, target: string): unknown {
  const known = [TarInvalid, FilesDiffer, ManifestInvalid, ControlFileUnknown, RangeError]
  if (known.some((kind) => error instanceof kind)) {
    return new SalvorError('RESTORE_FAILED', { target, reason: (error as Error).message }, error)
  }
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOSPC' || code === 'EDQUOT') return new SalvorError('DISK_FULL', { what: target }, error)
  if (error instanceof SalvorError || code === undefined || (error as Error).name === 'AbortError') return error
  return new SalvorError('RESTORE_FAILED', { target, reason: `a file could not be written (${code})` }, error)
}
