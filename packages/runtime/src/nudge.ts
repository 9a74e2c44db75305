/** A piece of work that is done soon after it was asked for, never twice at once. */
export interface Nudge {
  /** Asks for the work. Asking while it runs leads to one more run afterwards. */
  (): void
  /** Resolves when nothing is asked for any more. */
  idle(): Promise<void>
  /** Takes no more requests; resolves when the present run is over. */
  stop(): Promise<void>
}

/** `work` must not reject: it is the owner of its errors. */
export function nudge(work: () => Promise<void>): Nudge {
  let wanted = false
  let stopped = false
  let running: Promise<void> | null = null

  const run = async (): Promise<void> => {
    while (wanted) {
      wanted = false
      await work()
    }
    running = null
  }
  const ask = (): void => {
    if (stopped) return
    wanted = true
    running ??= Promise.resolve().then(run)
  }
  return Object.assign(ask, {
    async idle() {
      for (let work = running; work; work = running) await work
    },
    async stop() {
      stopped = true
      wanted = false
      await running
    },
  })
}
