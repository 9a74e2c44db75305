import type { RestorePoint } from '@salvor/policy/restore-points'
import { openFrames } from '@salvor/repository/open-frames'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactFrames } from '@salvor/shared/ports/artifact'
import type { StateReader } from '@salvor/shared/ports/reading'
import type { ChangesInput, CopyAddress } from '@salvor/shared/ports/tasks'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { chainAddresses } from './chain-addresses.ts'
import type { Runtime } from './open-runtime.ts'
import { openChanges } from './tasks/open-changes.ts'
import { makeScratch } from './tasks/scratch.ts'
import { assertSource, engineOfBackup } from './tasks/task-context.ts'

/** A restore point, or an instant behind one that change sets laid over it reach. */
export interface StoredPoint extends RestorePoint {
  readonly changes?: ChangesInput
}

export interface OpenRestorePoint extends AsyncDisposable {
  readonly backup: BackupWithCopies
  /** Where its own artifact is read from. */
  readonly store: string
  readonly reader: StateReader
}

/**
 * The state of a restore point, to be asked by SQL in this process: read from `store` where that has a good copy of it. READING_UNSUPPORTED where
 * its engine needs a restore for that, NO_GOOD_COPY, and whatever opening copies fails with.
 */
export async function openRestorePoint(
  runtime: Runtime,
  { backup_id, changes }: StoredPoint,
  store: string | null,
  signal: AbortSignal,
): Promise<OpenRestorePoint> {
  await using opened = new AsyncDisposableStack()
  const { deps } = runtime
  const config = runtime.config()
  const chain = await deps.catalog.chain(backup_id)
  const backup = chain.at(-1)!
  const { source, engine: kind } = backup
  const scratch = opened.use(await makeScratch(config.sandbox_dir, deps.log))
  const { keyring, clock, log } = deps
  const context = {
    config,
    keyring,
    clock,
    log,
    scratch_dir: scratch.path,
    progress: () => undefined,
    signal,
  }
  const engine = await engineOfBackup(source, kind, context)
  if (!engine.openState) throw notWhereItLies(source, kind)
  const addresses = chainAddresses(chain, store)
  // Side by side: a store far away answers late, and a chain has dozens of them.
  const links = await Promise.allSettled(
    addresses.map((address) => openFrames({ ...address, store: deps.store(address.store), keyring }, signal)),
  )
  for (const link of links) if (link.status === 'fulfilled') opened.use(link.value)
  const artifacts: ArtifactFrames[] = []
  let below: string | null = null
  for (const [i, link] of links.entries()) {
    if (link.status === 'rejected') throw link.reason
    const { manifest, content } = link.value
    assertSource(manifest, source, addresses[i]!.manifest_key)
    assertStandsOn(below, manifest.parent, addresses[i]!)
    artifacts.push(content)
    below = manifest.id
  }
  const [full, ...increments] = artifacts
  await using sets = await openChanges(changes, source, context, 'newest first')
  const state = { full: full!, increments, changes: sets.increments }
  const reader = opened.use(await engine.openState(state, signal))
  const kept = opened.move()
  return { backup, store: addresses.at(-1)!.store, reader, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

function assertStandsOn(below: string | null, parent: string | null, { manifest_key: key }: CopyAddress): void {
  if (parent === below) return
  const reason = below === null ? 'a chain begins with a full' : `it does not stand on ${below}`
  throw new SalvorError('MANIFEST_INVALID', { key, reason })
}

function notWhereItLies(source: string, kind: string): SalvorError {
  return new SalvorError('READING_UNSUPPORTED', {
    source,
    reason: `a backup of ${kind} needs its server`,
    fix: `give --sql: then it is restored into the sandbox for that; or keep it: salvor restore ${source} --at TIME --to NEW_FOLDER, then pg_ctl start`,
  })
}
