import type { Describe } from './describe.ts'
import { field } from './facts.ts'
import { duration } from './human.ts'

export const describeRecoveryProven: Describe<'recovery.proven'> = ({ data }, { backup }, recovered) => {
  const { source, target_at, recovered_to, lsn, timeline, duration_ms } = data
  return {
    title: recovered ? `It recovers to an instant again: ${source}` : `A recovery to an instant came back: ${source}`,
    text: `A backup and the WAL behind it were brought back to ${target_at} in the sandbox, opened, and its checks passed.`,
    hint: `salvor window ${source}`,
    fields: [
      field('Source', source),
      field('Last commit', recovered_to),
      field('Position', lsn),
      field('Timeline', timeline === null ? null : String(timeline)),
      field('Duration', duration(duration_ms)),
      field('From', backup?.filename),
    ].flat(),
  }
}
