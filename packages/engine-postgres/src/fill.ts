import type { ArtifactContent, SkippableBytes } from '@salvor/shared/ports/artifact'
import type { EngineContext, Increment, RestoreRequest } from '@salvor/shared/ports/engine'
import { elapsedMs, epochMicros } from '@salvor/shared/vocabulary/instant'
import { shownTarget } from '@salvor/shared/vocabulary/recovery'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { restoreChain, type ChainTarget } from './combine/restore-chain.ts'
import { compareWithManifest, FilesDiffer, type Compared } from './data-folder/compare.ts'
import { readControlFile, type ControlFile } from './data-folder/control-file.ts'
import type { FateOf } from './data-folder/fates.ts'
import { crcOfFile } from './data-folder/crc-of-file.ts'
import { crcHex } from './data-folder/crc32c.ts'
import { withSums } from './data-folder/manifest-sums.ts'
import type { ManifestFile } from './data-folder/manifest.ts'
import { pathBelow } from './data-folder/member-name.ts'
import type { NewFile } from './data-folder/new-file.ts'
import type { ReadBack } from './data-folder/read-back.ts'
import { standAlone } from './data-folder/settings.ts'
import { skimmed } from './data-folder/skimmed.ts'
import type { Tree } from './data-folder/tree.ts'
import { unpack } from './data-folder/unpack.ts'
import { crcOfZeros } from './data-folder/zeros.ts'
import { segmentsOf } from './data-folder/wal-segments.ts'
import { type ChosenDatabases, leftOut } from './databases/choose.ts'
import { stubPages } from './databases/stub-pages.ts'
import { fetchWal } from './recovery/fetch-wal.ts'
import { writeRecovery } from './recovery/settings.ts'
import { tablespacesOf } from './tablespaces/facts.ts'
import { dropMap } from './tablespaces/map.ts'

/** A data folder in the making. */
export interface Ground {
  readonly folder: string
  readonly tree: Tree
  readonly readBack: ReadBack
  /** The folder below which `global/pg_control` lies until all is done. */
  readonly control: string
  /** Absent: everything is taken, and the archive is read as a whole. */
  readonly fate?: FateOf
  readonly settled?: ChainTarget['settled']
  /** Only some databases come back with their contents. */
  readonly databases?: ChosenDatabases | undefined
  /** Called when all files of the backup are there. */
  readonly complete?: () => Promise<void>
}

export interface Filling {
  readonly content: ArtifactContent
  readonly request: RestoreRequest
}

/** Unpacks into a folder and compares every file with the manifest; the settings are made last, they are not in it. */
export async function fill(
  context: EngineContext,
  ground: Ground,
  { content, request }: Filling,
  signal: AbortSignal,
): Promise<Check[]> {
  const began = context.now()
  const { folder, readBack } = ground
  const { increments = [] } = request
  await unpackAll(context, ground, { content, request }, signal)
  await ground.complete?.()
  const unpacked = context.now()
  const manifest = join(folder, 'backup_manifest')
  const { databases } = ground
  if (databases)
    await withSums(manifest, ({ path, size }) => (databases.isZeros(path) ? crcOfZeros(size) : null), signal)
  const compared = await compareWithManifest(manifest, readBack.journal, signal)
  const control = await readControlFile(ground.control)
  const segments = await assertWal(folder, compared, control)
  await assertIdentity(folder, control, request)
  await dropMap(folder, tablespacesOf(request.engine_facts), signal)
  const { created } = await standAlone(folder, control)
  const done = context.now()
  const recovered = await prepareRecovery(context, folder, request, signal)
  if (databases) recovered.push(await leaveOut(folder, databases, control, signal))
  return [
    check('unpacked', unpackedDetail(content, increments), elapsedMs(began, unpacked)),
    check('backup_manifest', `${compared.files} files, ${compared.bytes} bytes match`, elapsedMs(unpacked, done)),
    check('wal', `${segments} segments, up to the end of the backup`, 0),
    check('settings', settingsDetail(created), 0),
    ...recovered,
  ]
}

async function unpackAll(
  context: EngineContext,
  ground: Ground,
  { content, request: { increments = [] } }: Filling,
  signal: AbortSignal,
): Promise<void> {
  const { folder, tree, readBack, fate, settled } = ground
  const watched = (artifact: ArtifactContent) => (fate ? skimming : reported)(context, artifact, signal)
  if (increments.length === 0) {
    const heard = {
      written: ({ name, size, crc }: NewFile) => readBack.known([[name, size, crcHex(crc)]]),
      zeroed: (name: string, size: number) => readBack.zeros(name, size),
    }
    const hold = fate || !content.hold ? undefined : (until: Promise<unknown>) => content.hold?.(until)
    await unpack(watched(content), tree, heard, fate, hold)
    await readBack.finish()
    return
  }
  const mtime = Number(epochMicros(context.now()) / 1_000_000n)
  const target = { folder, tree, scratch: context.scratch_dir, readBack, watched, mtime }
  const wishes = { ...(fate && { fate }), ...(settled && { settled }) }
  await restoreChain({ full: content, increments }, { ...target, ...wishes }, signal)
}

/** Databases without their contents must not stop a replay. */
async function leaveOut(
  folder: string,
  databases: ChosenDatabases,
  control: ControlFile,
  signal: AbortSignal,
): Promise<Check> {
  const { isLeft } = databases
  const changed = await stubPages({ folder, control, isLeft }, signal)
  const sumOf = ({ path }: ManifestFile) => (changed.has(path) ? crcOfFile(pathBelow(folder, path)) : null)
  if (changed.size > 0) await withSums(join(folder, 'backup_manifest'), sumOf, signal)
  return check('databases', leftOut(databases), 0)
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

function settingsDetail(created: readonly string[]): string {
  const own = 'follows no other server, and archive_mode is off (last line of postgresql.auto.conf)'
  return created.length === 0 ? own : `${own}; made ${created.join(', ')}`
}

const PROGRESS_EVERY = 8 * 1024 * 1024

export const reported = (context: EngineContext, content: ArtifactContent, signal: AbortSignal) =>
  counted(context, content.chunks(signal), content.size, signal)

async function* counted(
  context: EngineContext,
  bytes: AsyncIterable<Uint8Array>,
  total: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let done = 0
  let told = 0
  for await (const chunk of bytes) {
    signal.throwIfAborted()
    yield chunk
    done += chunk.length
    if (done - told < PROGRESS_EVERY && done < total) continue
    told = done
    context.progress({ phase: 'restore', done_bytes: done, total_bytes: total })
  }
}

/** The same, of an archive from which some members are left out. */
function skimming(context: EngineContext, content: ArtifactContent, signal: AbortSignal): SkippableBytes {
  const bytes = skimmed(content, 0, signal)
  return {
    skip: (count) => bytes.skip(count),
    [Symbol.asyncIterator]: () => counted(context, bytes, content.size, signal),
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
