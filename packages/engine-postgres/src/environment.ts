import type { EngineContext } from '@salvor/shared/ports/engine'
import type { VersionGate } from './incremental/gates.ts'

/** How long a server may be silent. */
export interface Deadlines {
  /** Until the first row of a base backup: the checkpoint before it. */
  readonly checkpoint_ms: number
  /** Within the copy: the server tells its progress every second. */
  readonly copy_ms: number
}

export const DEADLINES: Deadlines = { checkpoint_ms: 3_600_000, copy_ms: 300_000 }

/** How a source is reached, as the configuration has it. */
export interface Reach {
  /** Holds a password: never log it. */
  readonly url: string
  readonly passwordFile: string | null
}

/** One source, opened. */
export interface Environment {
  readonly source: Reach
  readonly context: EngineContext
  readonly deadlines: Deadlines
  /** WAL that a running backup may make the server keep. */
  readonly maxWalHold: bigint
  /** How incrementals are taken, and the minors that must not take them. */
  readonly incrementals: 'auto' | 'native' | 'pages'
  readonly versionGates: readonly VersionGate[]
}
