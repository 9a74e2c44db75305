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
    await writeContent(fresh, site, content, request, replaced, signal)
    const checks = request.proof_follows ? [] : await checkFresh(site, fresh.path, target, signal)
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

async function writeContent(
  fresh: FreshFile,
  site: Site,
  content: ArtifactContent,
  request: RestoreRequest,
  replaced: Stats | null,
  signal: AbortSignal,
) {
  // The content's writers use the descriptor until they have settled, also after an abort.
  const written = writeAll(fresh, site, content, request, replaced, signal)
  written.catch(() => undefined)
  using abort = rejectOnAbort(signal)
  await Promise.race([written, abort.aborted])
}

async function writeAll(
  { path, handle }: FreshFile,
  site: Site,
  content: ArtifactContent,
  request: RestoreRequest,
  replaced: Stats | null,
  signal: AbortSignal,
) {
  try {
    await assertRoom(dirname(path), content.size, 0)
    if (content.size > 0) await content.writeTo(handle.fd, signal)
    const size = await bringForward(handle, site, content, request, signal)
    await seal(handle, size, replaced)
  } finally {
    await handle.close()
  }
}

/** From the full to the state of the last incremental, if there is one, and compared with what the source was then. */
async function bringForward(
  handle: FileHandle,
  site: Site,
  content: ArtifactContent,
  { increments = [], target }: RestoreRequest,
  signal: AbortSignal,
): Promise<number> {
  const applied = await applyIncrements(handle, increments, signal)
  if (applied === null) return content.size
  const expected = increments.at(-1)?.engine_facts['state_sha256']
  // A change set from the log says that it has no digest of the whole state.
  if (expected !== null)
    await assertState(handle.fd, applied.head, String(expected), { source: site.context.source, target })
  return applied.size
}

async function seal(handle: FileHandle, size: number, replaced: Stats | null): Promise<void> {
  if (replaced) {
    const fresh = await handle.stat()
    if (fresh.uid !== replaced.uid || fresh.gid !== replaced.gid) await handle.chown(replaced.uid, replaced.gid)
    await handle.chmod(replaced.mode & 0o7777)
  }
  const { size: found } = await handle.stat()
  if (found !== size) throw new Error(`${found} of ${size} bytes were written`)
  await handle.sync()
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
