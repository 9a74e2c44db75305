import type { Migration } from '../migrate.ts'

/** Recoveries in the sandbox: the evidence that stored WAL brings an instant back. */
export const recoveryProofs: Migration = {
  name: '0005-recovery-proofs',
  statements: (text) => [
    `create table recovery_proofs (id ${text} primary key, source ${text} not null, backup_id ${text} not null,
       target_at ${text} not null, ok bigint not null, recovered_to ${text}, lsn ${text}, timeline bigint,
       detail ${text} not null, started_at ${text} not null, duration_ms double precision not null)`,
    `create index recovery_proofs_of_source on recovery_proofs (source, ok, started_at)`,
  ],
}
