import type { RunProgress } from '@salvor/shared/vocabulary/run'

/** How often whoever runs a task hears of it. */
export const REPORT_EVERY_MS = 200

/**
 * Lets a report through at once when the phase changes, else at most every `everyMs`, always the newest. `send` calls back
 * when the receiver can take another: a slow one costs reports, never memory.
 */
export function throttleProgress(
  send: (progress: RunProgress, sent: () => void) => void,
  everyMs: number,
  monotonicMs: () => number,
): (progress: RunProgress) => void {
  let last = -Infinity
  let phase = ''
  let underWay = false
  return (progress) => {
    const due =
      progress.phase !== phase || monotonicMs() - last >= everyMs || progress.done_bytes === progress.total_bytes
    if (!due || underWay) return
    last = monotonicMs()
    phase = progress.phase
    underWay = true
    send(progress, () => {
      underWay = false
    })
  }
}
