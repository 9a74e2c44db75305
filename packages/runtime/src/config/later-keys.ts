import type { KeyPath } from './problems.ts'

/** Keys of features that are planned: refused by name, since a key that is read by nobody would promise something. */
const LATER: readonly (readonly [pattern: string, feature: string])[] = [
  ['hooks', 'hooks'],
  ['objectives', 'objectives'],
  ['drills', 'drills'],
  ['stores.*.max_size', 'a size limit of a store'],
  ['stores.*.warn_at', 'a size warning of a store'],
  ['stores.*.pool', 'a pool of a store'],
  ['stores.*.object_lock', 'object lock'],
  ['stores.*.lock', 'object lock'],
  ['stores.*.lock_credentials', 'object lock'],
  ['sources.*.objectives', 'objectives'],
  ['sources.*.drills', 'drills'],
  ['sources.*.pitr', 'point-in-time restore'],
  ['sources.*.changes', 'the change stream'],
  ['sources.*.retention.wal', 'the WAL stream'],
  ['verifier.image', 'a sandbox image'],
]

/** The feature that a key belongs to, when it is one that is not there yet. */
export function laterKey(path: KeyPath): string | null {
  const row = LATER.find(([pattern]) => {
    const parts = pattern.split('.')
    return parts.length === path.length && parts.every((part, i) => part === '*' || part === path[i])
  })
  return row ? row[1] : null
}

/** Events that the design names and that nothing publishes yet. */
export const LATER_EVENTS: readonly string[] = [
  'backup.overdue',
  'backup.expired',
  'backup.deleted',
  'copy.locked',
  'drill.completed',
  'drill.failed',
  'objective.breached',
  'objective.recovered',
  'store.low-space',
  'store.unreachable',
  'store.recovered',
  'manifest.unhealthy',
  'retention.applied',
  'audit.tampered',
]
