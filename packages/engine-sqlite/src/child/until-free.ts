/** What a connection waits by itself before `untilFree` asks again. */
export const SHORT_WAIT_MS = 5

/**
 * Does `work` as soon as no other program holds the lock. For connections with a short wait of their own: SQLite's longer
 * waits grow to 100 ms between two looks and miss the short pauses of busy writers.
 */
export function untilFree<T>(work: () => T, waitMs: number): T {
  const begun = performance.now()
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error) || performance.now() - begun > waitMs) throw error
    }
  }
}

export function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')
}
