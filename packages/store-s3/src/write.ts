import { createHash, type Hash } from 'node:crypto'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectWriter, StoredObject } from '@salvor/shared/ports/store'
import { Buffers } from './buffers.ts'
import type { Intent } from './confirm.ts'
import { completeUpload, putWhole } from './conclude.ts'
import { base64Sha256, compositeSha256, geometryFor, partSize, type Geometry } from './parts.ts'
import type { Session } from './session.ts'
import { readToken, writeToken, type Resumable } from './token.ts'
import { headOf } from './head.ts'
import { beginUpload, dropUpload, isOpen, Upload } from './upload.ts'

const FIRST_BUFFER = 64 * 1024
const GRACE_MS = 5_000

/**
 * Where the parts go. small: no part is full yet · upload: to the store · compare: nowhere, an object of that key is
 * there already and only the bytes are compared.
 */
type Way =
  | { readonly kind: 'small' }
  | { readonly kind: 'upload'; readonly upload: Upload }
  | { readonly kind: 'compare'; readonly size: number }

/** Gathers parts, sends them while the next one fills, and concludes under If-None-Match. */
export class S3Writer implements ObjectWriter {
  readonly #session: Session
  readonly #key: string
  readonly #signal: AbortSignal
  readonly #earlier: Resumable | null
  readonly #geometry: Geometry
  readonly #buffers = new Buffers()
  readonly #whole: Hash = createHash('sha256')
  readonly #digests: string[] = []
  #buffer: Buffer
  #filled = 0
  #size = 0
  #way: Way = { kind: 'small' }
  #settled = false
  #failure: { readonly error: unknown } | null = null
  /** There is nothing to resume any more. */
  #gone = false
  #token: { readonly parts: number; readonly text: string } | null = null

  constructor(
    session: Session,
    key: string,
    options: { readonly resume?: string | null; readonly size?: number | null },
    signal: AbortSignal,
  ) {
    this.#session = session
    this.#key = key
    this.#signal = signal
    this.#earlier = options.resume
      ? readToken({ bucket: session.bucket, key: session.full(key) }, options.resume)
      : null
    this.#geometry = this.#earlier?.geometry ?? geometryFor(options.size ?? null)
    this.#buffer = this.#buffers.first(Math.min(partSize(this.#geometry, 0), options.size || FIRST_BUFFER))
  }

  get resumeToken(): string | null {
    if (this.#way.kind !== 'upload' || this.#gone) return null
    const parts = this.#way.upload.durable
    if (parts.length === 0) return null
    if (this.#token?.parts !== parts.length) {
      const place = { bucket: this.#session.bucket, key: this.#session.full(this.#key) }
      const text = writeToken(place, { upload_id: this.#way.upload.id, geometry: this.#geometry, parts })
      this.#token = { parts: parts.length, text }
    }
    return this.#token.text
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#guarded(async () => {
      this.#whole.update(chunk)
      this.#size += chunk.length
      if (this.#way.kind === 'compare' && this.#size > this.#way.size) throw this.#conflict()
      for (let at = 0; at < chunk.length;) {
        const limit = partSize(this.#geometry, this.#digests.length)
        if (this.#filled === limit) {
          await this.#seal()
          await this.#next()
          continue
        }
        const taken = Math.min(limit - this.#filled, chunk.length - at)
        this.#grow(this.#filled + taken, limit)
        this.#buffer.set(chunk.subarray(at, at + taken), this.#filled)
        this.#filled += taken
        at += taken
      }
    })
  }

  finish(): Promise<StoredObject> {
    return this.#guarded(async () => {
      const sha256 = this.#whole.digest('hex')
      const { kind } = this.#way
      const whole = { key: this.#key, size: this.#size, sha256 }
      if (kind === 'small') {
        const intent = { ...whole, checksum: Buffer.from(sha256, 'hex').toString('base64') }
        await putWhole(this.#session, intent, this.#buffer.subarray(0, this.#filled), this.#signal)
      } else {
        await this.#seal()
        const intent: Intent = {
          ...whole,
          checksum: compositeSha256(this.#digests.map((digest) => ({ sha256: digest }))),
        }
        const upload = this.#way.kind === 'upload' ? this.#way.upload : null
        await completeUpload(this.#session, intent, upload, this.#signal, () => (this.#gone = true))
      }
      this.#settled = true
      return whole
    })
  }

  async abort(options: { readonly keepParts?: boolean } = {}): Promise<void> {
    if (this.#settled) return
    this.#settled = true
    if (this.#way.kind !== 'upload') return
    const { upload } = this.#way
    const keep = options.keepParts === true
    await upload.stop(keep ? GRACE_MS : 0)
    if (keep) return
    this.#gone = true
    await dropUpload(this.#session, this.#key, upload.id)
  }

  /** Hands the filled buffer on as a part. */
  async #seal(): Promise<void> {
    if (this.#way.kind === 'small') this.#way = await this.#choose()
    const buffer = this.#buffer
    const part = buffer.subarray(0, this.#filled)
    this.#filled = 0
    if (this.#way.kind === 'upload') {
      this.#digests.push(this.#way.upload.add(part, () => this.#buffers.giveBack(buffer)))
    } else {
      this.#digests.push(base64Sha256(part))
    }
  }

  async #next(): Promise<void> {
    if (this.#way.kind === 'upload')
      this.#buffer = await this.#buffers.take(partSize(this.#geometry, this.#digests.length))
    throwIfInterrupted(this.#signal)
  }

  async #choose(): Promise<Way> {
    const there = await headOf(this.#session, this.#key, this.#signal)
    if (there !== null) {
      if (this.#size > (there.ContentLength ?? 0)) throw this.#conflict()
      return { kind: 'compare', size: there.ContentLength ?? 0 }
    }
    const earlier = this.#earlier
    const goOn = earlier !== null && (await isOpen(this.#session, this.#key, earlier.upload_id, this.#signal))
    const id = goOn ? earlier.upload_id : await beginUpload(this.#session, this.#key, this.#signal)
    return { kind: 'upload', upload: new Upload(this.#session, this.#key, id, goOn ? earlier.parts : [], this.#signal) }
  }

  #grow(needed: number, limit: number): void {
    if (needed <= this.#buffer.length) return
    const size = Math.min(limit, Math.max(needed, this.#buffer.length * 2))
    this.#buffer = this.#buffers.grown(this.#buffer, size, this.#filled)
  }

  #conflict(): SalvorError {
    return new SalvorError('STORE_CONFLICT', { store: this.#session.store, key: this.#key })
  }

  /** The first failure is the writer's last word. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failure !== null) throw this.#failure.error
    try {
      throwIfInterrupted(this.#signal)
      return await work()
    } catch (error) {
      this.#failure = { error: this.#session.error('write', this.#key, error) }
      throw this.#failure.error
    }
  }
}
