export interface Reading {
  /** Until the next look is due. */
  rest(): Promise<void>
  look(): Promise<void>
  /** Ends the work. */
  stop(): void
}

/** Goes on to read the log until the work is done. */
export async function meanwhile<T>(work: Promise<T>, reading: Reading): Promise<T> {
  const done = new AbortController()
  const ended = work.finally(() => done.abort())
  ended.catch(() => undefined)
  try {
    while (!done.signal.aborted) {
      await Promise.race([reading.rest(), ended.catch(() => undefined)])
      if (done.signal.aborted) break
      await reading.look()
    }
  } catch (error) {
    reading.stop()
    await ended.catch(() => undefined)
    throw error
  }
  return ended
}
