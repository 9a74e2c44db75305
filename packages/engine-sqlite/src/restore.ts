import { constants, type Stats } from 'node:fs'
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { RestoreFacts, RestoreRequest } from '@salvor/shared/ports/engine'
import type { Check } from '@salvor/shared/vocabulary/verification'
import { examineAtOnce, INTEGRITY } from './examination.ts'
import { assertNotInUse } from './in-use.ts'
import { freshName, removeLeftovers } from './leftovers.ts'
import { putInPlace } from './put-in-place.ts'
import { applyIncrements, assertState } from './pages/apply-pages.ts'
import type { PagesHead } from './pages/page-stream.ts'
import { rejectOnAbort } from './route.ts'
import { assertRoom, withFullDisk } from './scratch-copy.ts'
import type { Site } from './site.ts'
import { assertTarget, reasonOf } from './target.ts'

/** Writes and checks a new file beside the target, then puts it in place. Whatever fails, the target stays as it was. */
export async function restoreFile(
  site: Site,
  content: ArtifactContent,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreFacts> {
  const target = resolve(request.target)
  const replaced = await assertTarget(target, request.in_place, site)
  await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  await removeLeftovers(target, site.context.now())
  const fresh = await createBeside(target)
  try {
    const checks = await writeAndCheck(fresh, { site, content, request, target, replaced }, signal)
    if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
    await assertNotInUse(target, site.context.scratch_dir)
    await putInPlace(fresh.path, target, replaced !== null)
    const facts = request.increments?.at(-1)?.engine_facts ?? request.engine_facts
    const recovered = facts['consistent_at']
    return { recovered_to: typeof recovered === 'string' ? recovered : site.context.now(), checks }
  } catch (error) {
    await rm(fresh.path, { force: true })
    throw asRestoreError(error, target)
  }
}

interface FreshFile {
  readonly path: string
  readonly handle: FileHandle
}

async function createBeside(target: string): Promise<FreshFile> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  for (let attempt = 1; ; attempt += 1) {
    const path = freshName(target, attempt)
    try {
      return { path, handle: await open(path, flags, 0o600) }
    } catch (error) {
      if (reasonOf(error) === 'EEXIST' && attempt < 100) continue
      throw asRestoreError(error, target)
    }
  }
}

interface Restoring {
  readonly site: Site
  readonly content: ArtifactContent
  readonly request: RestoreRequest
  readonly target: string
  readonly replaced: Stats | null
}

async function writeAndCheck(fresh: FreshFile, restoring: Restoring, signal: AbortSignal): Promise<Check[]> {
  // The content's writers use the descriptor until they have settled, also after an abort.
  const checked = writeAll(fresh, restoring, signal)
  checked.catch(() => undefined)
  using abort = rejectOnAbort(signal)
  return await Promise.race([checked, abort.aborted])
}

async function writeAll({ path, handle }: FreshFile, restoring: Restoring, signal: AbortSignal): Promise<Check[]> {
  const { content, request, replaced } = restoring
  try {
    await assertRoom(dirname(path), content.size, 0)
    if (content.size > 0) await content.writeTo(handle.fd, signal)
    const applied = await applyIncrements(handle, request.increments ?? [], signal)
    await giveOver(handle, applied?.size ?? content.size, replaced)
    return await sealAndCheck({ path, handle }, applied?.head ?? null, restoring, signal)
  } finally {
    await handle.close()
  }
}

/**
 * All of it side by side: SQLite keeps few cores busy, and a disk none. What the pages say of a failure comes before what SQLite says, and
 * nothing is at work any more when it is told.
 */
async function sealAndCheck(
  { path, handle }: FreshFile,
  head: PagesHead | null,
  { site, request, target }: Restoring,
  signal: AbortSignal,
): Promise<Check[]> {
  const failed = new AbortController()
  const bytes = [head ? compareState(handle.fd, head, { site, request }, signal) : Promise.resolve(), handle.sync()]
  for (const one of bytes) one.catch((error: unknown) => failed.abort(error))
  const either = AbortSignal.any([signal, failed.signal])
  const asked = request.proof_follows ? Promise.resolve<Check[]>([]) : checkFresh(site, path, target, either)
  const ended = await Promise.allSettled([...bytes, asked])
  for (const one of ended) if (one.status === 'rejected') throw one.reason
  return await asked
}

/** What came from a full and its incrementals, compared with what the source was then. */
async function compareState(
  fd: number,
  head: PagesHead,
  { site, request: { increments = [], target } }: Pick<Restoring, 'site' | 'request'>,
  signal: AbortSignal,
): Promise<void> {
  const expected = increments.at(-1)?.engine_facts['state_sha256']
  // A change set from the log says that it has no digest of the whole state.
  if (expected === null) return
  await assertState(fd, head, String(expected), { source: site.context.source, target }, signal)
}

async function giveOver(handle: FileHandle, size: number, replaced: Stats | null): Promise<void> {
  if (replaced) {
    const fresh = await handle.stat()
    if (fresh.uid !== replaced.uid || fresh.gid !== replaced.gid) await handle.chown(replaced.uid, replaced.gid)
    await handle.chmod(replaced.mode & 0o7777)
  }
  const { size: found } = await handle.stat()
  if (found !== size) throw new Error(`${found} of ${size} bytes were written`)
}

/** Dangling references are told, not refused: SQLite allows them, and the source may have had them. */
async function checkFresh(site: Site, path: string, target: string, signal: AbortSignal): Promise<Check[]> {
  const { source, scratch_dir: scratch } = site.context
  const checks = await examineAtOnce({ path, source, scratch }, INTEGRITY, signal)
  const broken = checks.find((check) => check.name === 'integrity_check' && !check.ok)
  if (broken) throw new SalvorError('RESTORE_FAILED', { target, reason: `integrity_check: ${broken.detail}` })
  return checks
}

function asRestoreError(error: unknown, target: string): unknown {
  const full = withFullDisk(error, dirname(target))
  if (full instanceof SalvorError) return full
  return new SalvorError('RESTORE_FAILED', { target, reason: reasonOf(error) }, error)
}
