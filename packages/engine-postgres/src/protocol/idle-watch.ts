import { LinkLost } from './server-error.ts'
import type { Wire } from './wire.ts'

const LOOKS = 4
const LONGEST_LOOK_MS = 1000

/** Cuts a wire on which nothing came for `limit()` milliseconds, unless it is this side that keeps it waiting. */
export class IdleWatch implements Disposable {
  readonly #timer: NodeJS.Timeout

  constructor(wire: Wire, limit: () => number) {
    const every = Math.min(LONGEST_LOOK_MS, limit() / LOOKS)
    let seen = wire.received
    let quiet = 0
    this.#timer = setInterval(() => {
      quiet = wire.paused || wire.received !== seen ? 0 : quiet + every
      seen = wire.received
      if (quiet >= limit()) wire.destroy(new LinkLost(`no answer for ${Math.round(limit() / 1000)} s`))
    }, every)
    this.#timer.unref()
  }
  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
