import { createHash, timingSafeEqual } from 'node:crypto'

/**
 * Lets one browser in: the token of the address works once and becomes a session, whose secret only the browser's cookie
 * holds. A second use of the token, or any other, is refused.
 */
export class OneTimeToken {
  readonly #random: () => string
  readonly #token: Buffer
  #session: Buffer | null = null

  /** `random` gives an unguessable text, fresh at each call. */
  constructor(token: string, random: () => string) {
    this.#token = digest(token)
    this.#random = random
  }
  /** The session's secret, if the token is right and was not used before. */
  exchange(token: string): string | null {
    if (this.#session !== null || !timingSafeEqual(digest(token), this.#token)) return null
    const session = this.#random()
    this.#session = digest(session)
    return session
  }
  admits(session: string | undefined): boolean {
    return session !== undefined && this.#session !== null && timingSafeEqual(digest(session), this.#session)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
