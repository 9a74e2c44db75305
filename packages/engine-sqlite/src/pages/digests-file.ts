import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { algorithmOf, type Digesting, SALT_BYTES } from './digesting.ts'
import { DigestsState } from './digests-state.ts'
import { digestBytes } from './page-digester.ts'

/** Of each digest, so much is kept: with a salt that nobody else knows, that tells changed pages from others. */
export const KEPT_BYTES = 8
const FORMAT = 'salvor-page-digests'
/** The second one names its algorithm. */
const VERSIONS = { sha256: 1, nh128: 2 } as const
const HEAD_BYTES = 512
const CHUNK_PAGES = 8192

/** The state of a database, told by digests: docs/format.md section 15. */
export interface DigestsHead extends Digesting {
  readonly page_size: number
  readonly page_count: number
}

/** Writes the digests of one state into a new file, and adds up the digest of the whole. */
export class DigestsWriter implements Disposable {
  readonly digesting: Digesting
  /** Bytes before the first digest. */
  readonly head_bytes: number
  readonly #fd: number
  readonly #state = new DigestsState()

  constructor(file: string, { page_size, page_count, algorithm, salt }: DigestsHead) {
    this.digesting = { algorithm, salt }
    this.#fd = openSync(file, 'w', 0o600)
    const head = { format: FORMAT, version: VERSIONS[algorithm], page_size, page_count, kept_bytes: KEPT_BYTES }
    const named = algorithm === 'sha256' ? {} : { algorithm }
    const line = Buffer.from(`${JSON.stringify({ ...head, salt: salt.toString('hex'), ...named })}\n`)
    this.head_bytes = line.length
    writeSync(this.#fd, line)
  }

  /** The digests of the pages that follow. */
  add(digests: Uint8Array): void {
    this.#state.add(digests)
    writeSync(this.#fd, kept(digests, this.digesting))
  }

  /** SHA-256 over the whole digests of all pages, hex. Once, at the end. */
  state(): string {
    return this.#state.hex()
  }
  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}

/** What is kept of each digest, one after another. */
export function kept(digests: Uint8Array, digesting: Digesting): Buffer {
  const bytes = digestBytes(digesting)
  const count = digests.length / bytes
  const whole = Buffer.from(digests.buffer, digests.byteOffset, digests.length)
  const short = Buffer.allocUnsafe(count * KEPT_BYTES)
  for (let page = 0; page < count; page += 1) {
    whole.copy(short, page * KEPT_BYTES, page * bytes, page * bytes + KEPT_BYTES)
  }
  return short
}

/** The digests of a parent, read in page order. */
export class DigestsReader implements Disposable {
  readonly head: DigestsHead
  /** Bytes before the first digest. */
  readonly head_bytes: number
  readonly #fd: number
  #at: number

  /** Throws with the reason when it is no file of digests. */
  constructor(file: string) {
    this.#fd = openSync(file, 'r')
    try {
      const bytes = Buffer.alloc(HEAD_BYTES)
      const line = bytes.toString('utf8', 0, readSync(this.#fd, bytes, 0, HEAD_BYTES, 0)).split('\n', 1)[0] ?? ''
      this.head = parseHead(line)
      this.head_bytes = Buffer.byteLength(line) + 1
      this.#at = this.head_bytes
    } catch (error) {
      closeSync(this.#fd)
      throw error
    }
  }

  /** What was kept of the next `count` digests; fewer at the end of the state. */
  next(count: number): Buffer {
    const bytes = Buffer.alloc(count * KEPT_BYTES)
    let filled = 0
    for (let got = -1; got !== 0 && filled < bytes.length; filled += got) {
      got = readSync(this.#fd, bytes, filled, Math.min(bytes.length - filled, CHUNK_PAGES * KEPT_BYTES), this.#at)
      this.#at += got
    }
    return bytes.subarray(0, filled)
  }
  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}

function parseHead(line: string): DigestsHead {
  const head = JSON.parse(line) as Record<string, unknown>
  const { format, version, page_size, page_count, kept_bytes } = head
  const salt = Buffer.from(String(head['salt']), 'hex')
  const algorithm = algorithmOf(head['algorithm'])
  const known = format === FORMAT && kept_bytes === KEPT_BYTES && salt.length === SALT_BYTES
  if (!known || algorithm === null || version !== VERSIONS[algorithm]) throw new Error('not digests of pages')
  if (!Number.isInteger(page_size) || !Number.isInteger(page_count)) throw new Error('not digests of pages')
  return { page_size: Number(page_size), page_count: Number(page_count), algorithm, salt }
}
