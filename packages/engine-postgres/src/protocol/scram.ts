import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { saslprep } from './saslprep.ts'

/** A server may ask for this many rounds at most: it must not be able to keep a core busy. */
export const MOST_ITERATIONS = 1_000_000
const deriveKey = promisify(pbkdf2)

/** The server does not know the password either, or asks for something that no PostgreSQL server would. */
export class ScramRefused extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'ScramRefused'
  }
}

/**
 * none: no TLS, or the certificate has no usable hash · unoffered: TLS, and this side would bind · bound: with the hash
 * of the server's certificate, so that nobody can sit between.
 */
export type Binding =
  | { readonly kind: 'none' | 'unoffered' }
  | { readonly kind: 'bound'; readonly certificateHash: Buffer }

const GS2 = { none: 'n,,', unoffered: 'y,,', bound: 'p=tls-server-end-point,,' } as const

/** One SCRAM-SHA-256 login (RFC 5802, 7677). */
export class Scram {
  readonly mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS'
  readonly #password: string
  readonly #binding: Binding
  readonly #nonce: string
  #serverSignature: Buffer | null = null
  /** The server proved that it knows the password. */
  #proven = false

  constructor(password: string, binding: Binding, nonce: string = randomBytes(18).toString('base64')) {
    this.mechanism = binding.kind === 'bound' ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256'
    this.#password = password
    this.#binding = binding
    this.#nonce = nonce
  }
  get proven(): boolean {
    return this.#proven
  }
  get #firstBare(): string {
    // The user of the startup packet counts; PostgreSQL ignores the name here.
    return `n=,r=${this.#nonce}`
  }

  clientFirst(): string {
    return GS2[this.#binding.kind] + this.#firstBare
  }

  async clientFinal(serverFirst: string): Promise<string> {
    const { nonce, salt, iterations } = parseServerFirst(serverFirst)
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new ScramRefused('the server did not answer to this login (wrong nonce)')
    }
    const salted = await deriveKey(Buffer.from(saslprep(this.#password), 'utf8'), salt, iterations, 32, 'sha256')
    const clientKey = hmac(salted, 'Client Key')
    const storedKey = createHash('sha256').update(clientKey).digest()
    const withoutProof = `c=${this.#channel()},r=${nonce}`
    const authMessage = `${this.#firstBare},${serverFirst},${withoutProof}`
    const signature = hmac(storedKey, authMessage)
    const proof = clientKey.map((byte, i) => byte ^ signature[i]!)
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage)
    return `${withoutProof},p=${Buffer.from(proof).toString('base64')}`
  }

  verify(serverFinal: string): void {
    const value = /^v=([A-Za-z0-9+/]+={0,2})(?:,|$)/.exec(serverFinal)?.[1]
    const given = Buffer.from(value ?? '', 'base64')
    const expected = this.#serverSignature
    if (expected === null || given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new ScramRefused('the server could not prove that it knows the password')
    }
    this.#proven = true
  }

  #channel(): string {
    const header = Buffer.from(GS2[this.#binding.kind], 'latin1')
    const bound = this.#binding.kind === 'bound' ? this.#binding.certificateHash : Buffer.alloc(0)
    return Buffer.concat([header, bound]).toString('base64')
  }
}

function parseServerFirst(text: string): { nonce: string; salt: Buffer; iterations: number } {
  const parts = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,9})(?:,|$)/.exec(text)
  if (!parts) throw new ScramRefused('the server sent a malformed login message')
  const iterations = Number(parts[3])
  if (iterations > MOST_ITERATIONS) throw new ScramRefused(`the server asks for ${iterations} iterations`)
  return { nonce: parts[1]!, salt: Buffer.from(parts[2]!, 'base64'), iterations }
}

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
