import type { EngineContext } from '@salvor/shared/ports/engine'
import type { Address } from './address.ts'
import { loginFailure } from './failures.ts'
import { Link } from './protocol/link.ts'

/** How long a server may be silent. */
export interface Deadlines {
  /** Until the first row of a base backup: the checkpoint before it. */
  readonly checkpoint_ms: number
  /** Within the copy: the server tells its progress every second. */
  readonly copy_ms: number
}

export const DEADLINES: Deadlines = { checkpoint_ms: 3_600_000, copy_ms: 300_000 }

/** One source, opened. */
export interface Environment {
  readonly address: Address
  readonly context: EngineContext
  readonly deadlines: Deadlines
  /** WAL that a running backup may make the server keep. */
  readonly maxWalHold: bigint
}

export async function openLink(
  { address, context }: Environment,
  mode: 'replication' | 'sql',
  signal: AbortSignal,
): Promise<Link> {
  try {
    return await Link.open(address, mode, signal)
  } catch (error) {
    throw loginFailure(error, context.source, address)
  }
}
