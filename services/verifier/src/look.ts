import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { CopyAddress, Tasks } from '@salvor/shared/ports/tasks'
import type { RunProgress } from '@salvor/shared/vocabulary/run'
import type { Check, VerificationLevel } from '@salvor/shared/vocabulary/verification'

/** What was seen of a copy. `unproven`: why the restore could not be tried on this machine; never a fault of the copy. */
export interface Seen {
  readonly checks: readonly Check[]
  readonly reached: VerificationLevel
  readonly unproven: string | null
  readonly restore_ms: number | null
}

/**
 * Looks at the last copy of a chain at the level asked for; a restore takes the whole chain. Where this machine has no server of the right kind, the copy is decoded instead
 * and stays unproven.
 */
export async function look(
  tasks: Tasks,
  source: string,
  chain: readonly CopyAddress[],
  level: VerificationLevel,
  progress: (progress: RunProgress) => void,
  signal: AbortSignal,
): Promise<Seen> {
  const copy = chain.at(-1)
  if (!copy) throw new SalvorError('INTERNAL', { what: 'a chain of nothing' })
  if (level !== 'restore') {
    const { checks } = await tasks.run('inspect', { ...copy, level }, progress, signal)
    return { checks, reached: level, unproven: null, restore_ms: null }
  }
  try {
    const { checks, restore_ms } = await tasks.run('prove', { source, chain }, progress, signal)
    return { checks, reached: 'restore', unproven: null, restore_ms }
  } catch (error) {
    if (!(error instanceof SalvorError)) throw error
    // Bytes that do not open are a finding, not a failure of the run.
    if (BAD_BYTES.has(error.code))
      return { checks: [finding(error)], reached: 'restore', unproven: null, restore_ms: null }
    if (error.code !== 'CANNOT_VERIFY_HERE') throw error
    const { checks } = await tasks.run('inspect', { ...copy, level: 'decode' }, progress, signal)
    return { checks, reached: 'decode', unproven: `${error.message}; ${error.hint}`, restore_ms: null }
  }
}

export const BAD_BYTES: ReadonlySet<string> = new Set([
  'ARTIFACT_CORRUPT',
  'MANIFEST_INVALID',
  'SIGNER_UNKNOWN',
  'RESTORE_FAILED',
  'STORE_NOT_FOUND',
])

function finding(error: SalvorError): Check {
  return { name: 'restore', ok: false, detail: error.message, duration_ms: 0 }
}
