import { lstatSync } from 'node:fs'
import { chmod, readdir, realpath, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EXIT } from '@salvor/shared/errors/exit-codes'
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
import { CONTROL, DeltaHold, holdIn } from './hold.ts'
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
  const aside = { name: CONTROL, path: pathBelow(holdIn(target), CONTROL) }
  await using readBack = new ReadBack(target, join(context.scratch_dir, 'unpacked.journal'), aside)
  using names = new NamesOnDisk(join(context.scratch_dir, 'former.names'))
  const work: Work = { context, content, request, placed, links, readBack, names, aside }
  const compared = await lookAtFormer(work, signal)
  const lookedAt = context.now()
  const hold = await DeltaHold.take(target, String(request.engine_facts['system_id'] ?? ''))
  const { checks, written, strays } = await layOver(work, compared, hold, signal).catch((error: unknown) => {
    context.log.warn(
      { target },
      'a delta restore broke off: no server starts in its folder until another one completes it',
    )
    const facts = { target, source: context.source, reason: (error as Error).message }
    throw new SalvorError(isDamage(error) ? 'DELTA_DAMAGED' : 'DELTA_BROKEN_OFF', facts, error)
  })
  const kept = `${compared.kept} of ${compared.files} files were right (${compared.keptBytes} bytes)`
  const rest = `${written} bytes were written, ${strays.files} files removed`
  const detail = [`${kept}, ${rest}`, ...strays.leftPlaces.map((place) => `the former tablespace ${place} was left`)]
  return {
    recovered_to: request.recoveredTo,
    checks: [check('delta', detail.join('; '), elapsedMs(began, lookedAt)), ...checks],
  }
}

/** It is the copy that is bad, so that the same again would end in the same way. */
const isDamage = (error: unknown): boolean => error instanceof SalvorError && error.exit === EXIT.verificationFailed

/** Writes nothing into the target. */
async function lookAtFormer(work: Work, signal: AbortSignal): Promise<FormerCompared> {
  const { context, content, request, names, readBack, links } = work
  const root = request.target
  await using sums = new Sums(root)
  const manifest = join(context.scratch_dir, 'former.manifest')
  await newestManifest(content, request, manifest, signal)
  const onBytes = (done_bytes: number): void => context.progress({ phase: 'compare', done_bytes, total_bytes: null })
  const former = { root, links, sums, names, readBack, fate: fateOf(request) }
  return await compareFormer(manifest, former, onBytes, signal)
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

interface Work {
  readonly context: EngineContext
  readonly content: ArtifactContent
  readonly request: DeltaRequest
  readonly placed: readonly Placed[]
  readonly links: ReadonlySet<string>
  readonly readBack: ReadBack
  readonly names: NamesOnDisk
  readonly aside: { readonly name: string; readonly path: Buffer }
}

interface LaidOver {
  readonly checks: Check[]
  readonly written: number
  readonly strays: Strays
}

async function layOver(work: Work, compared: FormerCompared, hold: DeltaHold, signal: AbortSignal): Promise<LaidOver> {
  const { context, content, request, placed, links, readBack, names, aside } = work
  const { target } = request
  const owner = await ownerFor(target)
  // They tell of the former state, and are written as new files.
  for (const name of ['backup_manifest', 'backup_label']) await rm(join(target, name), { recursive: true, force: true })
  const made = linkTablespaces(target, placed)
  const tree = new FormerTree({ root: target, links, aside })
  const hasFolder = (name: string): boolean => compared.folders.has(name) || tree.hasFolder(name)
  const hasName = (name: string): boolean => names.flag(name) !== null
  const belonging = { root: target, links, hasFolder }
  // What is not wanted goes first: both states together may need more room than there is. Segments have no names in a manifest.
  const hasFile = (name: string): boolean => hasName(name) || name.startsWith('pg_wal/')
  const strays = await removeStrays({ ...belonging, hasFile, folders: false }, signal)
  const complete = async (): Promise<void> => {
    const isOurs = (name: string) => hasName(name) || tree.wal.has(name) || WRITTEN.has(name)
    strays.files += (await removeStrays({ ...belonging, hasFile: isOurs, folders: true }, signal)).files
  }
  const fate: FateOf = (name) => (names.flag(name) === true ? 'keep' : fateOf(request)(name))
  const settled: Ground['settled'] = (table) => settleStubs(work, table, signal)
  const ground = { folder: target, tree, readBack, control: hold.folder, fate, settled, complete }
  const checks = await fill(context, { ...ground, databases: request.databases }, { content, request }, signal)
  for (const { oid, place } of placed) {
    for (const entry of await readdir(place))
      if (hasFolder(`pg_tblspc/${oid}/${entry}`)) await settle(join(place, entry), owner, signal)
    await syncFolder(place, owner)
  }
  for (const folder of made) await syncFolder(folder, owner)
  if (lstatSync(join(target, 'pg_wal')).isSymbolicLink())
    await settle(await realpath(join(target, 'pg_wal')), owner, signal)
  // A server refuses a folder that others may look into.
  if ((await stat(target)).mode & 0o027) await chmod(target, 0o700)
  await settle(target, owner, signal)
  await hold.release()
  return { checks, written: tree.writtenBytes, strays }
}

const fateOf = ({ databases }: DeltaRequest): FateOf => databases?.fate ?? TAKE_ALL

/** Not in the manifest of a backup, and there all the same. */
const WRITTEN: ReadonlySet<string> = new Set(['backup_manifest', 'backup_label', 'tablespace_map'])
