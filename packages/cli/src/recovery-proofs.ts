import { elapsedMs, type Instant } from '@salvor/shared/vocabulary/instant'
import type { RecoveryProof } from '@salvor/shared/vocabulary/verification'
import pc from 'picocolors'
import { span } from './output.ts'

/** Of a source, what `recoveryProofs` of the catalog gives: the newest that came back, and a newer one that did not. */
export interface LastRecovery {
  readonly proven: RecoveryProof | null
  readonly failed: RecoveryProof | null
}

export function lastRecovery(proofs: readonly RecoveryProof[], source: string): LastRecovery | null {
  const own = proofs.filter((proof) => proof.source === source)
  if (own.length === 0) return null
  return { proven: own.find(({ ok }) => ok) ?? null, failed: own.find(({ ok }) => !ok) ?? null }
}

/** In a table: how long ago an instant was brought back, or that the last try failed. */
export function recoveryWord(last: LastRecovery | null, now: Instant): string {
  if (last?.failed) return pc.red(`failed ${ago(last.failed, now)}`)
  return last?.proven ? ago(last.proven, now) : pc.yellow('never')
}

/** In full, a line each. */
export function recoveryLines(last: LastRecovery | null, now: Instant): string[] {
  const { proven, failed } = last ?? {}
  return [
    ...(proven
      ? [
          `${pc.green('proven')}  recovered to ${shown(proven.target_at)} in the sandbox ${ago(proven, now)} ` +
            pc.dim(`(last commit ${shown(proven.recovered_to)}, ${proven.lsn ?? '-'}, in ${span(proven.duration_ms)})`),
        ]
      : []),
    ...(failed
      ? [`${pc.red('failed')}  recovery to ${shown(failed.target_at)} ${ago(failed, now)}: ${failed.detail}`]
      : []),
  ]
}

const ago = ({ started_at }: RecoveryProof, now: Instant): string =>
  `${span(Math.max(0, elapsedMs(started_at, now)))} ago`

const shown = (at: Instant | null): string => at?.replace('T', ' ').replace('Z', '') ?? '-'
