import type { TLSSocket } from 'node:tls'
import type { Address } from '../connect/address.ts'
import { clearPassword, saslInitialResponse, saslResponse, strings, TYPE } from './messages.ts'
import { Scram, ScramRefused } from './scram.ts'
import { LinkLost } from './server-error.ts'
import { serverEndPoint } from './tls.ts'

/** The login cannot go on, for a reason on this side. The message is fit for a person. */
export class LoginRefused extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'LoginRefused'
  }
}

interface Login {
  readonly address: Address
  readonly tls: TLSSocket | null
  send(bytes: Buffer): void
}

/** Answers the server's authentication requests in the order in which they come. */
export class Authentication {
  readonly #login: Login
  #scram: Scram | null = null
  #accepted = false
  #answered: Promise<void> = Promise.resolve()

  constructor(login: Login) {
    this.#login = login
  }

  /** Resolves when everything asked so far was answered; rejects when a request must be refused. */
  get answered(): Promise<void> {
    return this.#answered
  }
  get accepted(): boolean {
    return this.#accepted
  }

  message(type: number, body: Buffer): void {
    if (type !== TYPE.authentication || body.length < 4) throw new LinkLost('an unexpected message during the login')
    const copy = Buffer.from(body)
    this.#answered = this.#answered.then(() => this.#answer(copy))
    this.#answered.catch(() => undefined)
  }

  async #answer(body: Buffer): Promise<void> {
    const request = body.readInt32BE(0)
    switch (request) {
      case 0:
        return this.#accept()
      case 3:
        return this.#clearText()
      case 10:
        return this.#offerSasl(strings(body, 4))
      case 11:
        this.#login.send(saslResponse(await this.#running().clientFinal(body.toString('utf8', 4))))
        return undefined
      case 12:
        return this.#running().verify(body.toString('utf8', 4))
      case 5:
        throw new LoginRefused('the server asks for an MD5 password; set password_encryption = scram-sha-256 there')
      default:
        throw new LoginRefused(`the server asks for an authentication (${request}) that Salvor does not know`)
    }
  }

  #accept(): void {
    if (this.#scram !== null && !this.#scram.proven) throw new ScramRefused('the server broke off the SCRAM login')
    if (this.#login.address.channelBinding === 'require' && this.#scram?.mechanism !== 'SCRAM-SHA-256-PLUS') {
      throw new LoginRefused('channel_binding=require, and the server let this login in without it')
    }
    this.#accepted = true
  }

  #clearText(): void {
    const { address, tls } = this.#login
    const verified = tls !== null && tls.authorized && address.sslmode === 'verify-full'
    if (!verified || !address.allowCleartext || address.channelBinding === 'require') {
      throw new LoginRefused(
        'the server asks for the password in clear; use scram-sha-256 in pg_hba.conf (or sslmode=verify-full and require_auth=password)',
      )
    }
    this.#login.send(clearPassword(this.#password()))
  }

  #offerSasl(mechanisms: readonly string[]): void {
    const { address, tls } = this.#login
    if (this.#scram !== null) throw new ScramRefused('the server began a second login')
    const hash = tls === null || address.channelBinding === 'disable' ? null : serverEndPoint(tls)
    const plus = mechanisms.includes('SCRAM-SHA-256-PLUS')
    if (address.channelBinding === 'require' && (!plus || hash === null)) {
      throw new LoginRefused('channel_binding=require, and the server does not offer it')
    }
    if (!plus && !mechanisms.includes('SCRAM-SHA-256')) {
      throw new LoginRefused('the server offers no login that Salvor knows (SCRAM-SHA-256)')
    }
    const scram = new Scram(
      this.#password(),
      hash === null ? { kind: 'none' } : plus ? { kind: 'bound', certificateHash: hash } : { kind: 'unoffered' },
    )
    this.#scram = scram
    this.#login.send(saslInitialResponse(scram.mechanism, scram.clientFirst()))
  }

  #password(): string {
    const { password, passwordLack } = this.#login.address
    if (password === null) {
      const lack = passwordLack ?? 'name a password_file, or have a line in ~/.pgpass'
      throw new LoginRefused(`the server asks for a password, and the URL has none; ${lack}`)
    }
    return password
  }

  #running(): Scram {
    if (this.#scram === null) throw new ScramRefused('the server continued a login that was not begun')
    return this.#scram
  }
}
