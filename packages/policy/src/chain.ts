import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { bestCopies } from './copies.ts'

export interface ChainRules {
  readonly max_chain: number
  readonly at_max_chain: 'full' | 'merge'
}

/** Whether an incremental can stand on `chain` (the full first, the parent last). Null: it can; else why not, for people. */
export function whyNoParent(chain: readonly BackupWithCopies[], rules: { readonly max_chain: number }): string | null {
  const lost = chain.find((backup) => bestCopies(backup.copies).length === 0)
  if (lost) return `${lost.filename} has no good copy`
  if (isFullLength(chain, rules)) return `the chain has ${chain.length - 1} incrementals already (max_chain)`
  return null
}

/** No more incrementals belong on this chain; one that is merged meanwhile takes them until it has twice that many. */
export function isFullLength(
  chain: readonly BackupWithCopies[],
  { max_chain }: Pick<ChainRules, 'max_chain'>,
): boolean {
  return chain.length - 1 >= max_chain
}

/** Whether a chain may go beyond its length: a merge of it is to come, and without it a full must be taken some day. */
export function isStretchable(chain: readonly BackupWithCopies[], rules: ChainRules): boolean {
  return rules.at_max_chain === 'merge' && chain.length - 1 < 2 * rules.max_chain
}

/** Backups with the newest state first; of the same state, a full goes before the chain that it was made of. */
export function newestStateFirst<B extends Pick<BackupWithCopies, 'consistent_at' | 'parent'>>(
  backups: readonly B[],
): readonly B[] {
  return backups.toSorted((a, b) => {
    if (a.consistent_at !== b.consistent_at) return a.consistent_at < b.consistent_at ? 1 : -1
    return Number(a.parent !== null) - Number(b.parent !== null)
  })
}

/** Backups that a new incremental of their source may stand on, the newest state first. */
export function possibleParents(backups: readonly BackupWithCopies[]): readonly BackupWithCopies[] {
  return newestStateFirst(backups.filter(({ type, state }) => type !== 'pre_restore' && state !== 'corrupt'))
}

/** The copies through which a chain is read, in its order: from `store` where that has a good one, else the best there is. Null in the place of a backup without any. */
export function copiesToRead(
  chain: readonly BackupWithCopies[],
  store: string | null,
): readonly (BackupWithCopies['copies'][number] | null)[] {
  return chain.map(({ copies }) => {
    const good = bestCopies(copies)
    return good.find((copy) => copy.store === store) ?? good[0] ?? null
  })
}
