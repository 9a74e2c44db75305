/** Upper end of the spread: as many messages as a second apart come through in about this time. */
const WIDTH_MS = 4_000

/**
 * Milliseconds that set runs apart which were all told to wait the same time, so that they do not knock together again.
 * From the run's id (its second half is random) and attempt: the same question gives the same answer.
 */
export function spreadMs(runId: string, attempt: number): number {
  let hash = 2_166_136_261 ^ attempt
  for (const character of runId) hash = Math.imul(hash ^ character.charCodeAt(0), 16_777_619)
  return (hash >>> 8) % WIDTH_MS
}
