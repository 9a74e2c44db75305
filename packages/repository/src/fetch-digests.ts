import { rename, rm } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import { composeDigests, patchHeadOf } from './digests-compose.ts'
import { fetchStoredDigests } from './digests-file.ts'
import type { Manifest } from './manifest.ts'
import { type CopyAddress, corrupt, digestsKeyOf } from './open-backup.ts'
import { DigestsInvalid, type PatchHead } from './patch-form.ts'

/** Digests that are fetched side by side: they are small, and a store answers slowly. */
const AT_ONCE = 8

/** A backup of a chain; its store is opened only when its digests are needed. */
export interface DigestsAddress extends Omit<CopyAddress, 'store' | 'keyring'> {
  store(this: void): Promise<Store>
}

interface Piece {
  readonly manifest: Manifest
  readonly file: string
  /** Null: they are whole. */
  readonly head: PatchHead | null
}

/**
 * Brings the digests of the last backup of a chain into a new file: its own where they are stored whole, else the nearest whole ones
 * below it with the patches in between laid over them. A file that is there when this resolves holds the very bytes that the snapshot
 * left; the manifest is that of the last backup. ARTIFACT_CORRUPT, and those of the STORE_ and KEY_ groups.
 */
export async function fetchDigests(
  chain: readonly DigestsAddress[],
  keyring: KeyRing,
  file: string,
  signal: AbortSignal,
): Promise<Manifest> {
  const fetched: string[] = []
  const fetchPiece = async (n: number): Promise<Piece> => {
    const { store, ...address } = chain[n]!
    const piece = `${file}.${n}`
    fetched.push(piece)
    // Of a process that died over it.
    await rm(piece, { force: true })
    const manifest = await fetchStoredDigests({ ...address, store: await store(), keyring }, piece, signal)
    return { manifest, file: piece, head: headOf(piece, manifest) }
  }
  try {
    const tip = await fetchPiece(chain.length - 1)
    const patches = await patchesDownFrom(tip, chain.length - 1, fetchPiece)
    const whole = patches.shift()!
    if (patches.length === 0) await rename(whole.file, file)
    else await compose(whole, patches, file, signal)
    return tip.manifest
  } finally {
    await Promise.all(fetched.map((piece) => rm(piece, { force: true })))
  }
}

/** The nearest whole digests, then the patches on them, the one of `tip` last. */
async function patchesDownFrom(tip: Piece, place: number, fetchPiece: (n: number) => Promise<Piece>): Promise<Piece[]> {
  const pieces = [tip]
  for (let below = place - 1; pieces[0]!.head !== null; below -= AT_ONCE) {
    const wanted = Array.from({ length: Math.min(AT_ONCE, below + 1) }, (_, i) => fetchPiece(below - i))
    // Only those that are needed may be bad, and none may still be written to afterwards.
    const ended = await Promise.allSettled(wanted)
    if (ended.length === 0) throw unfounded(pieces[0]!, 'there is no backup below it')
    for (const one of ended) {
      if (pieces[0]!.head === null) break
      if (one.status === 'rejected') throw one.reason
      assertStandsOn(pieces[0]!, one.value)
      pieces.unshift(one.value)
    }
  }
  return pieces
}

/** Ids and sums are signed, so a patch is laid over nothing but what it was made for. */
function assertStandsOn(patch: Piece, below: Piece): void {
  const { manifest, head } = patch
  const { id, source, digests_sha256 } = below.manifest
  const fits = manifest.parent === id && manifest.source === source && head!.base === id
  if (!fits || head!.base_sha256 !== digests_sha256) throw unfounded(patch, `they do not stand on those of ${id}`)
}

async function compose(whole: Piece, patches: readonly Piece[], file: string, signal: AbortSignal): Promise<void> {
  const paths = patches.map((piece) => piece.file)
  try {
    await composeDigests(whole.file, paths, file, signal)
  } catch (error) {
    await rm(file, { force: true })
    if (signal.aborted) throw new SalvorError('INTERRUPTED', {}, signal.reason)
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC') throw new SalvorError('DISK_FULL', { what: 'the scratch folder' }, error)
    throw error instanceof DigestsInvalid ? unfounded(patches.at(-1)!, error.message, error) : error
  }
}

function headOf(file: string, manifest: Manifest): PatchHead | null {
  try {
    return patchHeadOf(file)
  } catch (error) {
    throw error instanceof DigestsInvalid ? corrupt(manifest, digestsKeyOf(manifest), error.message, error) : error
  }
}

function unfounded({ manifest }: Piece, reason: string, cause?: unknown): SalvorError {
  return corrupt(manifest, digestsKeyOf(manifest), reason, cause)
}
