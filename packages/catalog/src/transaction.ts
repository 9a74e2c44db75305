import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { CatalogTransaction } from '@salvor/shared/ports/catalog'
import { recordBackup, recordCopy, recordVerification } from './backups.ts'
import { forgetChangeSets, leaveChangeSets, recordChangeSet, recordChangeStream } from './changes.ts'
import { recordClaim } from './claims.ts'
import { acknowledge } from './inbox.ts'
import { openIncident, resolveIncident } from './incidents.ts'
import { publish } from './outbox.ts'
import { recordRecoveryProof } from './recovery-proofs.ts'
import { endRun, enqueue } from './runs.ts'
import type { Scope } from './scope.ts'
import { forgetWal, recordWal, recordWalGap, recordWalStream } from './wal.ts'
import { advanceSchedule, registerSource, retireSourcesExcept, setSchedules } from './sources.ts'

/** The writes of one scope, in the port's words. */
export function transactionOf(scope: Scope): CatalogTransaction {
  /** A write that failed dooms the transaction, also when the caller catches its error: all or none. */
  const write = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!scope.open) throw new SalvorError('INTERNAL', { what: 'a write came after its transaction had ended' })
    try {
      return await work()
    } catch (error) {
      scope.failure ??= { error }
      throw error
    }
  }
  return {
    now: scope.now,
    registerSource: (source) => write(() => registerSource(scope, source)),
    retireSourcesExcept: (names) => write(() => retireSourcesExcept(scope, names)),
    setSchedules: (source, schedules) => write(() => setSchedules(scope, source, schedules)),
    advanceSchedule: (id, from, to) => write(() => advanceSchedule(scope, id, from, to)),
    enqueue: (run) => write(() => enqueue(scope, run)),
    endRun: (runId, attempt, end) => write(() => endRun(scope, runId, attempt, end)),
    publish: (event) => write(() => publish(scope, event)),
    acknowledge: (eventId, service) => write(() => acknowledge(scope, eventId, service)),
    recordBackup: (backup) => write(() => recordBackup(scope, backup)),
    recordCopy: (copy) => write(() => recordCopy(scope, copy)),
    recordVerification: (verification) => write(() => recordVerification(scope, verification)),
    recordRecoveryProof: (proof) => write(() => recordRecoveryProof(scope, proof)),
    openIncident: (key, source, title) => write(() => openIncident(scope, key, source, title)),
    resolveIncident: (key) => write(() => resolveIncident(scope, key)),
    audit: (entry) => write(async () => void scope.audits.push(entry)),
    recordClaim: (source, store) => write(() => recordClaim(scope, source, store)),
    recordWal: (piece, store) => write(() => recordWal(scope, piece, store)),
    forgetWal: (source, store, names) => write(() => forgetWal(scope, source, store, names)),
    recordWalGap: (gap) => write(() => recordWalGap(scope, gap)),
    recordWalStream: (state) => write(() => recordWalStream(scope, state)),
    recordChangeSet: (set, store) => write(() => recordChangeSet(scope, set, store)),
    leaveChangeSets: (sets, leaving) => write(() => leaveChangeSets(scope, sets, leaving)),
    forgetChangeSets: (sets) => write(() => forgetChangeSets(scope, sets)),
    recordChangeStream: (state) => write(() => recordChangeStream(scope, state)),
  }
}
