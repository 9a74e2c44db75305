import type { RunProgress } from '@salvor/shared/vocabulary/run'

export interface JoinedProgress {
  /** From the engine, which knows the phase and the total. */
  readonly engine: (progress: RunProgress) => void
  /** From the repository, which sees each byte. */
  readonly bytes: (progress: RunProgress) => void
}

/** One account of a piece of work that two sides report on: it never runs backwards within a phase. */
export function joinProgress(report: (progress: RunProgress) => void): JoinedProgress {
  let state: RunProgress | null = null
  return {
    engine(next) {
      const same = state?.phase === next.phase ? state : null
      state = {
        phase: next.phase,
        done_bytes: Math.max(same?.done_bytes ?? 0, next.done_bytes),
        total_bytes: next.total_bytes ?? same?.total_bytes ?? null,
      }
      report(state)
    },
    bytes(next) {
      const done_bytes = Math.max(state?.done_bytes ?? 0, next.done_bytes)
      state = { phase: state?.phase ?? next.phase, done_bytes, total_bytes: state?.total_bytes ?? next.total_bytes }
      report(state)
    },
  }
}
