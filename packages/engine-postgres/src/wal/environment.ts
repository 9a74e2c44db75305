import type { Environment } from '../environment.ts'

/** What the stream of a source may do. */
export interface WalEnvironment extends Environment {
  /** Name of the replication slot; made when it is not there. */
  readonly slot: string
  /** The configuration accepts a slot on a server that does not bound what slots keep. */
  readonly unboundedSlot: boolean
  /** Bytes that may wait here for a store. */
  readonly spoolBytes: number
  /** What of an unfinished segment is new is stored this often. */
  readonly tailMs: number
  /** How often the slots on the other hosts of the URL are moved on. */
  readonly otherSlotsMs: number
  /** Commits on the server may wait for what is acknowledged: nothing is put off. */
  readonly synchronous: boolean
  /** store: WAL is acknowledged once it is in a store · spool: once it is on the disk of the spool, which the next worker must see. */
  readonly acknowledge: 'store' | 'spool'
}
