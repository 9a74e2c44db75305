import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { EngineContext, RestoreFacts, RestoreRequest } from '@salvor/shared/ports/engine'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { join, resolve } from 'node:path'
import { ManifestInvalid } from './base-backup/manifest-spool.ts'
import { FilesDiffer } from './data-folder/compare.ts'
import { ControlFileUnknown } from './data-folder/control-file.ts'
import { makeStage, putInPlace, removeStage, type Stage } from './data-folder/put-in-place.ts'
import { ReadBack } from './data-folder/read-back.ts'
import { ownerFor, settle } from './data-folder/settle.ts'
import { Tree } from './data-folder/tree.ts'
import { type ChosenDatabases, chooseDatabases } from './databases/choose.ts'
import { lookForDatabases } from './databases/look.ts'
import { isFormerFolder } from './delta/former-folder.ts'
import { restoreDelta } from './delta/restore-delta.ts'
import { check, fill } from './fill.ts'
import { isServerUrl } from './logical/target-server.ts'
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
  const { databases: _, ...parts } = request.parts ?? {}
  if (Object.values(parts).some((names) => (names?.length ?? 0) > 0)) throw new SalvorError('USAGE', NO_PARTS)
  const target = resolve(request.target)
  const recoveredTo = instantOfFacts(request)
  if (await isLaidOver(target, request)) return await layOver(context, content, { ...request, target }, signal)
  await assertTarget(target, request.in_place)
  const placed = await choosePlaces(request, target)
  let stage: Stage | null = null
  try {
    const databases = await databasesOf(context, content, request, signal)
    stage = await makeStage(target)
    const owner = await ownerFor(target)
    await using tablespaces = await TablespaceStages.make(stage.path, placed)
    const folder = stage.path
    await using readBack = new ReadBack(folder, join(context.scratch_dir, 'unpacked.journal'))
    const tree = new Tree(folder, tablespaces.folders)
    const ground = { folder, tree, readBack, control: folder, ...(databases && { databases, fate: databases.fate }) }
    const checks = await fill(context, ground, { content, request }, signal)
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

/** Undefined: all come back. USAGE for one that is not in the backup. */
async function databasesOf(
  context: EngineContext,
  content: ArtifactContent,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<ChosenDatabases | undefined> {
  const { databases = [] } = request.parts ?? {}
  if (databases.length === 0) return undefined
  return chooseDatabases(await lookForDatabases(context, content, request, signal), databases)
}

/** There is something that a delta restore begins with. */
const isLaidOver = async (target: string, { delta, engine_facts }: RestoreRequest): Promise<boolean> =>
  delta !== undefined && (await isFormerFolder(target, { delta, engine_facts }))

async function layOver(
  context: EngineContext,
  content: ArtifactContent,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreFacts> {
  const { target } = request
  try {
    const placed = await choosePlaces(request, target)
    const databases = await databasesOf(context, content, request, signal)
    const wish = { ...request, databases, recoveredTo: instantOfFacts(request) }
    const { recovered_to, checks } = await restoreDelta(context, content, wish, placed, signal)
    const places = placed.length > 0 ? [placesCheck(placed)] : []
    return { recovered_to: request.recovery?.recovers_to ?? recovered_to, checks: [...checks, ...places] }
  } catch (error) {
    signal.throwIfAborted()
    throw restoreFailure(error, target)
  }
}

const NO_SERVER = { reason: 'a physical backup comes back as a data folder: name one after --to', command: 'restore' }
const NO_PARTS = {
  reason: 'a physical backup comes back by databases; take tables out of it with salvor export',
  command: 'restore',
}

const keptCheck = (kept: readonly string[]): Check =>
  check('former data', `kept at ${kept.join(' and ')}; remove it when it is not needed`, 0)

const placesCheck = (placed: readonly Placed[]): Check =>
  check('tablespaces', placed.map(({ location, place }) => `${location} at ${place}`).join(', '), 0)

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
