import type { Copy, CopyState, RetentionClass } from '@salvor/shared/vocabulary/backup'

export interface CopyRules {
  readonly copies: readonly { readonly store: string; readonly classes: 'all' | readonly string[] }[]
}

/** Stores that should hold a backup of this class, in the order of the configuration. */
export function storesFor(rules: CopyRules, retentionClass: RetentionClass): readonly string[] {
  return rules.copies
    .filter((rule) => rule.classes === 'all' || rule.classes.includes(wanted(retentionClass)))
    .map((r) => r.store)
}

/** Stores that should hold the WAL of a source, in the order of the configuration. */
export function walStores(rules: CopyRules): readonly string[] {
  return rules.copies.filter(({ classes }) => classes === 'all' || classes.includes('wal')).map(({ store }) => store)
}

/** Stores that should hold the change sets of a source, in the order of the configuration. */
export function changeStores(rules: CopyRules): readonly string[] {
  return rules.copies
    .filter(({ classes }) => classes === 'all' || classes.includes('changes'))
    .map(({ store }) => store)
}

/** The store that the worker writes to: the first that takes the class. Null: no store does. */
export function firstStoreFor(rules: CopyRules, retentionClass: RetentionClass): string | null {
  return storesFor(rules, retentionClass)[0] ?? null
}

/** A safety copy before a restore goes where fulls go: nobody writes a rule for it. */
function wanted(retentionClass: RetentionClass): string {
  return retentionClass === 'pre_restore' ? 'full' : retentionClass
}

const STRENGTH: Readonly<Record<CopyState, number>> = { proven: 3, verified: 2, completed: 1, pending: 0, corrupt: 0 }

/** Copies to read from, the best first; none that is pending or corrupt. Ties keep their order (the configuration's). */
export function bestCopies<C extends Pick<Copy, 'state'>>(copies: readonly C[]): readonly C[] {
  return copies.filter((copy) => STRENGTH[copy.state] > 0).toSorted((a, b) => STRENGTH[b.state] - STRENGTH[a.state])
}
