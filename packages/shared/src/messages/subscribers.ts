import type { ServiceName } from '../vocabulary/service.ts'
import type { EventType } from './events.ts'

/**
 * The choreography: who hears of what. An inbox row per subscriber is written with the event, in one transaction.
 * Checked at boot: a service has a handler for each event that names it, and for no other.
 */
export const SUBSCRIBERS: { readonly [E in EventType]: readonly ServiceName[] } = {
  'source.registered': ['backup-worker'],
  'source.vanished': ['notifier'],
  'backup.started': [],
  'backup.completed': ['verifier', 'replicator', 'notifier'],
  'backup.failed': ['notifier'],
  'copy.replicated': ['verifier', 'notifier'],
  'copy.verified': ['notifier'],
  'copy.corrupt': ['notifier'],
  'copy.failed': ['notifier'],
  'recovery.proven': ['notifier'],
  'wal-segment.stored': ['replicator'],
  'wal-gap.detected': ['notifier'],
  'wal-stream.failed': ['notifier'],
  'wal-stream.recovered': ['notifier'],
  'change-set.stored': ['replicator'],
  'change-stream.failed': ['notifier'],
  'change-stream.recovered': ['notifier'],
  'restore.completed': ['notifier'],
  'restore.failed': ['notifier'],
}
