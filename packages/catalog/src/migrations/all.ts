import type { Migration } from '../migrate.ts'
import { initial } from './0001-initial.ts'
import { changes } from './0003-changes.ts'
import { compactedChanges } from './0004-compacted-changes.ts'
import { recoveryProofs } from './0005-recovery-proofs.ts'
import { wal } from './0002-wal.ts'

/** In order, forward only. */
export const MIGRATIONS: readonly Migration[] = [initial, wal, changes, compactedChanges, recoveryProofs]
