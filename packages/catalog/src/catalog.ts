import type { Catalog } from '@salvor/shared/ports/catalog'
import { verifyAudit } from './audit.ts'
import { copiesInState, findBackup, findBackups, findChain, verificationsOf } from './backup-queries.ts'
import { saveUpload } from './backups.ts'
import { changeStreams, findChangeSets, lastChangeSet } from './changes.ts'
import { hasClaim } from './claims.ts'
import type { Database } from './database.ts'
import { deadLetters, replay } from './dead-letters.ts'
import { figures } from './figures.ts'
import { failDelivery, undelivered } from './inbox.ts'
import { openIncidents } from './incidents.ts'
import { acquireLease, liveLeases, releaseLease, renewLease } from './leases.ts'
import { findEvent, markEventsSent, unsentEvents } from './outbox.ts'
import { prune } from './prune.ts'
import { reconcile } from './reconcile.ts'
import { recoveryProofs } from './recovery-proofs.ts'
import { dueRuns, findRun, findRuns, markRunsSent, unsentRuns } from './run-queries.ts'
import { claimRun, renewRun } from './runs.ts'
import { allSchedules, allSources, dueSchedules } from './sources.ts'
import { transactionOf } from './transaction.ts'
import { findWal, walEnd, walGaps, walStreams } from './wal.ts'

/** The port's words, each bound to its room. */
export function catalogOf(database: Database, meta: { readonly id: string; readonly epoch: number }): Catalog {
  const { reads, dialect } = database
  return {
    id: meta.id,
    epoch: meta.epoch,
    now: () => database.now(),
    transaction: (cause, work) => database.write((scope) => work(transactionOf(scope)), cause),

    sources: () => allSources(reads),
    dueSchedules: (limit) => dueSchedules(dialect, limit),
    schedules: () => allSchedules(reads),

    backups: (filter) => findBackups(database, filter),
    backup: (reference) => findBackup(database, reference),
    chain: (backupId) => findChain(database, backupId),
    copiesInState: (state, limit) => copiesInState(reads, state, limit),
    saveUpload: (id, store, upload) => database.write((scope) => saveUpload(scope, id, store, upload)),
    verifications: (backupId) => verificationsOf(reads, backupId),
    recoveryProofs: () => recoveryProofs(reads),
    hasClaim: (source, store) => hasClaim(reads, source, store),
    wal: (filter) => findWal(reads, filter),
    walEnd: (source) => walEnd(reads, source),
    walGaps: (source) => walGaps(reads, source),
    walStreams: () => walStreams(reads),
    changeSets: (filter) => findChangeSets(reads, filter),
    lastChangeSet: (source) => lastChangeSet(reads, source),
    changeStreams: () => changeStreams(reads),

    run: (id) => findRun(reads, id),
    runs: (filter) => findRuns(reads, filter),
    claimRun: (id, holder, leaseMs) => database.write((scope) => claimRun(scope, id, holder, leaseMs)),
    renewRun: (id, attempt, leaseMs, progress) =>
      database.write((scope) => renewRun(scope, { id, attempt, leaseMs }, progress)),
    dueRuns: (filter) => dueRuns(dialect, filter),
    unsentRuns: (jobs, limit) => unsentRuns(reads, jobs, limit),
    markRunsSent: (turns) => database.write((scope) => markRunsSent(scope, turns)),
    reconcile: (staleMs) => database.write((scope) => reconcile(scope, staleMs)),
    prune: (keptMs, limit) => database.write((scope) => prune(scope, keptMs, limit)),

    event: (id) => findEvent(reads, id),
    unsentEvents: (service, limit) => unsentEvents(reads, service, limit),
    markEventsSent: (ids) => database.write((scope) => markEventsSent(scope, ids)),
    undelivered: (service, filter) => undelivered(database, service, filter),
    failDelivery: (eventId, service, error, notBefore) =>
      database.write((scope) => failDelivery(scope, { eventId, service }, error, notBefore)),

    deadLetters: () => deadLetters(reads),
    replay: (id) => database.write((scope) => replay(scope, id)),

    acquireLease: (name, holder, ttlMs) => database.write((scope) => acquireLease(scope, name, holder, ttlMs)),
    renewLease: (lease, ttlMs) => database.write((scope) => renewLease(scope, lease, ttlMs)),
    releaseLease: (lease) => database.write((scope) => releaseLease(scope, lease)),
    leases: (prefix) => liveLeases(database, prefix),
    figures: () => figures(database),
    openIncidents: () => openIncidents(reads),
    verifyAudit: () => verifyAudit(reads),
    close: () => database.close(),
  }
}
