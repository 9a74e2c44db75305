import { backupObjects } from '@salvor/repository/backup-objects'
import { readManifest } from '@salvor/repository/open-backup'
import { manifestKeyOf } from '@salvor/repository/layout'
import { bestCopies } from '@salvor/policy/copies'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { Store } from '@salvor/shared/ports/store'
import type { BackupWithCopies, Copy } from '@salvor/shared/vocabulary/backup'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import { fanOut } from './fan-out.ts'

/** A token names every part so far: saved with each of thousands of parts it would be most of the work. */
const TOKEN_EVERY_MS = 5000

export interface Arrival {
  readonly store: string
  readonly duration_ms: number
}
export interface Missed {
  readonly store: string
  readonly error: SalvorError
}

/**
 * Brings a backup to each store in `missing`, from the best copy that can be read; the manifest goes last, so a half-made
 * copy is no copy. Each store succeeds or fails alone.
 */
export async function replicate(
  deps: Deps,
  backup: BackupWithCopies,
  missing: readonly Copy[],
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<{ arrived: readonly Arrival[]; missed: readonly Missed[] }> {
  if (missing.length === 0) return { arrived: [], missed: [] }
  let failure = new SalvorError('NO_GOOD_COPY', { backup: backup.id })
  for (const origin of bestCopies(backup.copies)) {
    try {
      return await replicateFrom(deps, deps.store(origin.store), backup, missing, progress, signal)
    } catch (error) {
      if (signal.aborted) throw error
      failure = asSalvorError(error)
      deps.log.warn({ backup_id: backup.id, store: origin.store }, 'this copy could not be read, the next one is tried')
    }
  }
  return { arrived: [], missed: missing.map(({ store }) => ({ store, error: failure })) }
}

async function replicateFrom(
  deps: Deps,
  from: Store,
  backup: BackupWithCopies,
  missing: readonly Copy[],
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<{ arrived: readonly Arrival[]; missed: readonly Missed[] }> {
  const began = deps.clock.monotonicMs()
  const missed = new Map<string, SalvorError>()
  const address = {
    store: from,
    manifest_key: manifestKeyOf(backup),
    manifest_sha256: backup.manifest_sha256,
    keyring: deps.keyring,
  }
  const { manifest } = await readManifest(address, signal)
  const artifact = `${backup.source}/${backup.filename}`
  for (const key of await backupObjects(manifest, address.manifest_key, from, signal)) {
    const open = missing.filter((copy) => !missed.has(copy.store))
    if (open.length === 0) break
    // The artifact is nearly all of it, and all that is worth resuming.
    const object =
      key === artifact
        ? { key, size: backup.size_bytes, sha256: backup.checksum_sha256 }
        : { key, size: null, sha256: null }
    const onBytes = (done_bytes: number): void => {
      if (key === artifact) progress({ phase: 'copying', done_bytes, total_bytes: backup.size_bytes })
    }
    for (const landing of await copyObject(deps, from, backup, object, open, onBytes, signal)) {
      if (landing.error !== null) missed.set(landing.store, landing.error)
    }
  }
  const duration_ms = Math.round(deps.clock.monotonicMs() - began)
  const arrived = missing.filter((copy) => !missed.has(copy.store)).map(({ store }) => ({ store, duration_ms }))
  return { arrived, missed: [...missed].map(([store, error]) => ({ store, error })) }
}

/** Null: a side object, which the verifier reads with the manifest's digests; its store echoes what it took. */
interface CopiedObject {
  readonly key: string
  readonly size: number | null
  readonly sha256: string | null
}

function copyObject(
  deps: Deps,
  from: Store,
  backup: BackupWithCopies,
  object: CopiedObject,
  open: readonly Copy[],
  onBytes: (done: number) => void,
  signal: AbortSignal,
) {
  const isArtifact = object.sha256 !== null
  const destinations = open.map((copy) => ({ store: deps.store(copy.store), resume: isArtifact ? copy.upload : null }))
  const saved = new Map<string, number>()
  const onToken = async (store: string, token: string): Promise<void> => {
    const now = deps.clock.monotonicMs()
    if (!isArtifact || now - (saved.get(store) ?? Number.NEGATIVE_INFINITY) < TOKEN_EVERY_MS) return
    saved.set(store, now)
    await deps.catalog.saveUpload(backup.id, store, token)
  }
  return fanOut(from, object.key, destinations, { size: object.size, sha256: object.sha256, onBytes, onToken }, signal)
}
