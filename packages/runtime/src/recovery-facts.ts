import { bestCopies } from '@salvor/policy/copies'
import type { RecoveryPlan } from '@salvor/policy/recovery-plan'
import type { RecoveryBase, RecoveryFacts } from '@salvor/policy/wal-line'
import { manifestKeyOf } from '@salvor/repository/layout'
import { readManifest } from '@salvor/repository/open-backup'
import { readWal } from '@salvor/repository/read-wal'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps } from '@salvor/shared/ports/service'
import type { RecoveryInput } from '@salvor/shared/ports/tasks'
import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { lsnText, lsnValue, type Lsn } from '@salvor/shared/vocabulary/lsn'
import { parseHistory, type Ancestor } from '@salvor/shared/vocabulary/timeline-history'
import type { StoredWal } from '@salvor/shared/vocabulary/wal'

/** Manifests read side by side. */
const AT_ONCE = 8
const LARGEST_HISTORY = 1 << 20

export interface GatheredFacts extends RecoveryFacts {
  /** History files by timeline. */
  readonly historyPieces: ReadonlyMap<number, StoredWal>
  /** What could not be read, for people. */
  readonly unreadable: readonly string[]
}

/** What a source can be recovered to, by the catalog, the manifests of its backups and the history of its timelines. `from`: the store to read from where it has the piece. */
export async function gatherRecoveryFacts(
  deps: Deps,
  source: string,
  from: string | null,
  signal: AbortSignal,
): Promise<GatheredFacts> {
  const unreadable: string[] = []
  const pieces = await piecesOf(deps, source, from)
  const historyPieces = new Map(
    [...pieces.values()].filter(({ kind }) => kind === 'history').map((piece) => [piece.timeline, piece]),
  )
  const histories = new Map<number, readonly Ancestor[]>()
  for (const [timeline, piece] of historyPieces) {
    try {
      histories.set(timeline, parseHistory(await historyText(deps, piece, signal)))
    } catch (error) {
      signal.throwIfAborted()
      unreadable.push(`${piece.name} in ${piece.store}: ${asSalvorError(error).message}`)
    }
  }
  const bases = await basesOf(deps, source, from, unreadable, signal)
  const stream = (await deps.catalog.walStreams()).find((state) => state.source === source) ?? null
  return { bases, wal: [...pieces.values()], histories, stream, historyPieces, unreadable }
}

/** Each piece once: from `from`, else from the store that comes first in the configuration. */
async function piecesOf(deps: Deps, source: string, from: string | null): Promise<Map<string, StoredWal>> {
  const order = [...(from === null ? [] : [from]), ...deps.settings().stores.keys()]
  const rank = ({ store }: StoredWal): number => order.indexOf(store)
  const pieces = new Map<string, StoredWal>()
  for await (const piece of deps.catalog.wal({ source })) {
    if (rank(piece) === -1) continue
    const there = pieces.get(piece.name)
    if (!there || rank(piece) < rank(there)) pieces.set(piece.name, piece)
  }
  return pieces
}

async function historyText(
  deps: Deps,
  { source, store, name, document_sha256 }: StoredWal,
  signal: AbortSignal,
): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const address = { store: deps.store(store), keyring: deps.keyring, source, name }
  for await (const chunk of readWal(address, signal, { document_sha256 })) {
    chunks.push(Buffer.from(chunk))
    bytes += chunk.length
    if (bytes > LARGEST_HISTORY) throw new RangeError('no history file is so long')
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Backups that can be read, with what they stand on, and whose manifest says where replay begins. */
async function basesOf(
  deps: Deps,
  source: string,
  from: string | null,
  unreadable: string[],
  signal: AbortSignal,
): Promise<readonly RecoveryBase[]> {
  const backups = (await deps.catalog.backups({ source })).filter(({ type }) => type !== 'pre_restore')
  const byId = new Map(backups.map((backup) => [backup.id, backup]))
  const queue = backups.filter((backup) => readable(backup, byId)).values()
  const bases: RecoveryBase[] = []
  const work = async (): Promise<void> => {
    for (const backup of queue) {
      try {
        const base = await baseOf(deps, backup, from, signal)
        if (base) bases.push(base)
      } catch (error) {
        signal.throwIfAborted()
        unreadable.push(`${backup.filename}: ${asSalvorError(error).message}`)
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return bases
}

function readable(backup: BackupWithCopies, byId: ReadonlyMap<string, BackupWithCopies>): boolean {
  for (let one: BackupWithCopies | undefined = backup; ;) {
    if (!one || bestCopies(one.copies).length === 0) return false
    if (one.parent === null) return true
    one = byId.get(one.parent)
  }
}

async function baseOf(
  deps: Deps,
  backup: BackupWithCopies,
  from: string | null,
  signal: AbortSignal,
): Promise<RecoveryBase | null> {
  const copies = bestCopies(backup.copies)
  const copy = copies.find(({ store }) => store === from) ?? copies[0]!
  const { keyring } = deps
  const address = {
    store: deps.store(copy.store),
    manifest_key: manifestKeyOf(backup),
    manifest_sha256: backup.manifest_sha256,
    keyring,
  }
  const { manifest } = await readManifest(address, signal)
  const { system_id, timeline, start_lsn, stop_lsn } = manifest.engine_facts
  if (typeof system_id !== 'string' || typeof timeline !== 'number') return null
  if (typeof start_lsn !== 'string' || typeof stop_lsn !== 'string') return null
  return { backup_id: backup.id, consistent_at: backup.consistent_at, system_id, timeline, start_lsn, stop_lsn }
}

/** What a task needs to carry out a plan: its WAL, and the history of every timeline. */
export function recoveryInput(plan: RecoveryPlan, facts: GatheredFacts, pause: boolean): RecoveryInput {
  // All of them, also of timelines beside the way: the server takes a number for its new one that nobody has used.
  const histories = facts.historyPieces.values()
  const wal = [...plan.pieces, ...histories].map(({ store, name, document_sha256, start_lsn, segment_size }) => ({
    store,
    name,
    document_sha256,
    start_lsn,
    segment_size,
  }))
  const { target, timeline, recovers_to } = plan
  // At any other target the server itself says when it ends before it.
  const last_commit_lsn = target.kind === 'latest' ? lastCommit(plan) : null
  return { target, timeline, pause, recovers_to, last_commit_lsn, wal }
}

function lastCommit({ pieces }: RecoveryPlan): Lsn | null {
  const positions = pieces.flatMap(({ last_commit_lsn }) =>
    last_commit_lsn === null ? [] : [lsnValue(last_commit_lsn)],
  )
  return positions.length === 0 ? null : lsnText(positions.reduce((a, b) => (a > b ? a : b)))
}
