import type { RunProgress } from '@salvor/shared/vocabulary/run'

const STEP_BYTES = 16 << 20

/** Reports bytes as they are done: every 16 MiB, and when all are. */
export function countProgress(
  phase: string,
  total_bytes: number | null,
  report: (progress: RunProgress) => void,
): (bytes: number) => void {
  let done_bytes = 0
  let next = STEP_BYTES
  return (bytes) => {
    done_bytes += bytes
    if (done_bytes < next && done_bytes !== total_bytes) return
    next = done_bytes + STEP_BYTES
    report({ phase, done_bytes, total_bytes })
  }
}
