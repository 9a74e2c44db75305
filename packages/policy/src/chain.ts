import type { BackupWithCopies } from '@salvor/shared/vocabulary/backup'
import { bestCopies } from './copies.ts'

/** Whether an incremental can stand on `chain` (the full first, the parent last). Null: it can; else why not, for people. */
export function whyNoParent(chain: readonly BackupWithCopies[], rules: { readonly max_chain: number }): string | null {
  const lost = chain.find((backup) => bestCopies(backup.copies).length === 0)
  if (lost) return `${lost.filename} has no good copy`
  const increments = chain.length - 1
  if (increments >= rules.max_chain) return `the chain has ${increments} incrementals already (max_chain)`
  return null
}

/** Backups that a new incremental of their source may stand on, the newest state first. */
export function possibleParents(backups: readonly BackupWithCopies[]): readonly BackupWithCopies[] {
  return backups
    .filter(({ type, state }) => type !== 'pre_restore' && state !== 'corrupt')
    .toSorted((a, b) => (a.consistent_at < b.consistent_at ? 1 : -1))
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
