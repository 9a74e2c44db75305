import { lstatSync } from 'node:fs'
import { realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { EngineContext, RestoreFacts, RestoreRequest } from '@salvor/shared/ports/engine'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { type FateOf, TAKE_ALL } from '../data-folder/fates.ts'
import { pathBelow } from '../data-folder/member-name.ts'
import { ReadBack } from '../data-folder/read-back.ts'
import { ownerFor, settle, syncFolder } from '../data-folder/settle.ts'
import { check, fill, type Ground } from '../fill.ts'
import type { Placed } from '../tablespaces/places.ts'
import { type FormerCompared, compareFormer } from './compare-former.ts'
import { assertWritable, linksOf, linkTablespaces } from './former-places.ts'
import { FormerTree } from './former-tree.ts'
import { CONTROL, DeltaHold } from './hold.ts'
import { copyManifest } from './manifest-tail.ts'
import { NamesOnDisk } from './names-on-disk.ts'
import { settleStubs } from './settle-stubs.ts'
import { removeStrays, type Strays } from './strays.ts'
import { Sums } from './sums.ts'

export interface DeltaRequest extends RestoreRequest {
  readonly databases: Ground['databases']
  readonly recoveredTo: RestoreFacts['recovered_to']
}

/**
 * Lays a backup over the data folder of a stopped server: compares first what is there, then writes what differs and removes what
 * does not belong. From the first change to the last no server starts in it, and a second run completes what a first one began.
 */
export async function restoreDelta(
  context: EngineContext,
  content: ArtifactContent,
  request: DeltaRequest,
  placed: readonly Placed[],
  signal: AbortSignal,
): Promise<RestoreFacts> {
  const { target } = request
  await assertWritable(target, placed)
  const began = context.now()
  const links = linksOf(target, placed)
  const aside = { name: CONTROL, path: pathBelow(join(target, '.salvor-delta'), CONTROL) }
  await using readBack = new ReadBack(target, join(context.scratch_dir, 'unpacked.journal'), aside)
  using names = new NamesOnDisk(join(context.scratch_dir, 'former.names'))
  const manifest = join(context.scratch_dir, 'former.manifest')
  await newestManifest(content, request, manifest, signal)
  const compared = await lookAtFormer(context, { manifest, names, readBack, links, request }, signal)
  const lookedAt = context.now()
  const work: Work = { context, content, request, placed, links, readBack, names, compared, aside }
  const { checks, written, strays } = await layOver(work, signal).catch((error: unknown) => {
    if (error instanceof SalvorError && error.code === 'TARGET_IN_USE') throw error
    throw new SalvorError('DELTA_BROKEN_OFF', { target, reason: (error as Error).message }, error)
  })
  const kept = `${compared.kept} of ${compared.files} files were right (${compared.keptBytes} bytes)`
  const rest = `${written} bytes were written, ${strays.files} files removed`
  const detail = [`${kept}, ${rest}`, ...strays.leftPlaces.map((place) => `the former tablespace ${place} was left`)]
  return {
    recovered_to: request.recoveredTo,
    checks: [check('delta', detail.join('; '), elapsedMs(began, lookedAt)), ...checks],
  }
}

/** The manifest of the state that comes back: it is the last member of the newest artifact. */
async function newestManifest(
  content: ArtifactContent,
  { increments = [] }: RestoreRequest,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const tip = increments.at(-1)
  if (tip) await tip.open((artifact) => copyManifest(artifact, path, signal))
  else await copyManifest(content, path, signal)
}

interface Looking {
  readonly manifest: string
  readonly names: NamesOnDisk
  readonly readBack: ReadBack
  readonly links: ReadonlySet<string>
  readonly request: DeltaRequest
}

async function lookAtFormer(
  context: EngineContext,
  { manifest, request, ...looking }: Looking,
  signal: AbortSignal,
): Promise<FormerCompared> {
  const root = request.target
  await using sums = new Sums(root)
  const onFile = (): void => context.progress({ phase: 'compare', done_bytes: 0, total_bytes: null })
  return await compareFormer(manifest, { ...looking, root, sums, fate: fateOf(request) }, onFile, signal)
}

interface Work {
  readonly context: EngineContext
  readonly content: ArtifactContent
  readonly request: DeltaRequest
  readonly placed: readonly Placed[]
  readonly links: ReadonlySet<string>
  readonly readBack: ReadBack
  readonly names: NamesOnDisk
  readonly compared: FormerCompared
  readonly aside: { readonly name: string; readonly path: Buffer }
}

interface LaidOver {
  readonly checks: Check[]
  readonly written: number
  readonly strays: Strays
}

async function layOver(work: Work, signal: AbortSignal): Promise<LaidOver> {
  const { context, content, request, placed, links, readBack, names, compared, aside } = work
  const { target } = request
  const owner = await ownerFor(target)
  const hold = await DeltaHold.take(target, String(request.engine_facts['system_id'] ?? ''))
  // They tell of the former state, and are written as new files.
  for (const name of ['backup_manifest', 'backup_label']) await rm(join(target, name), { recursive: true, force: true })
  linkTablespaces(target, placed)
  const isKnownVersion = (folder: string): boolean => compared.versionFolders.has(folder)
  const belonging = { root: target, links, isOwnVersion: isKnownVersion, hasFolder: null }
  const hasName = (name: string): boolean => names.flag(name) !== null
  // What is not wanted goes first: both states together may need more room than there is. Segments have no names in a manifest.
  const hasFile = (name: string): boolean => hasName(name) || name.startsWith('pg_wal/')
  const before = await removeStrays({ ...belonging, hasFile }, signal)
  const tree = new FormerTree({ root: target, links, aside })
  const total: Strays = { files: before.files, leftPlaces: before.leftPlaces }
  const complete = async (): Promise<void> => {
    const isOwnVersion = (folder: string) => isKnownVersion(folder) || tree.hasFolder(`pg_tblspc/${folder}`)
    const rules = { ...belonging, isOwnVersion, hasFolder: (name: string) => links.has(name) || tree.hasFolder(name) }
    const isOurs = (name: string) => hasName(name) || tree.wal.has(name) || WRITTEN.has(name)
    total.files += (await removeStrays({ ...rules, hasFile: isOurs }, signal)).files
  }
  const fate: FateOf = (name) => (names.flag(name) === true ? 'keep' : fateOf(request)(name))
  const settled: Ground['settled'] = (table) => settleStubs(work, table, signal)
  const ground = { folder: target, tree, readBack, control: hold.folder, fate, settled, complete }
  const checks = await fill(context, { ...ground, databases: request.databases }, { content, request }, signal)
  for (const { oid, place } of placed) {
    for (const folder of compared.versionFolders)
      if (folder.startsWith(`${oid}/`)) await settle(join(place, folder.slice(oid.length + 1)), owner, signal)
    await syncFolder(place, owner)
  }
  if (lstatSync(join(target, 'pg_wal')).isSymbolicLink())
    await settle(await realpath(join(target, 'pg_wal')), owner, signal)
  await settle(target, owner, signal)
  await hold.release()
  return { checks, written: tree.writtenBytes, strays: total }
}

const fateOf = ({ databases }: DeltaRequest): FateOf => databases?.fate ?? TAKE_ALL

/** Not in the manifest of a backup, and there all the same. */
const WRITTEN: ReadonlySet<string> = new Set(['backup_manifest', 'backup_label', 'tablespace_map'])
