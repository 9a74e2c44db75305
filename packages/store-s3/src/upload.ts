import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { Answer } from './answer.ts'
import { base64Sha256, type Part } from './parts.ts'
import { BEFORE_SIGNING, knownHash } from './signed-body.ts'
import type { Session } from './session.ts'

/** A multipart upload: sends parts side by side, compares the echo of each, knows which are durable. */
export class Upload {
  readonly id: string
  readonly #session: Session
  readonly #key: string
  /** What an earlier attempt brought over. */
  readonly #known: readonly Part[]
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #parts: (Part | undefined)[] = []
  readonly #sending = new Set<Promise<void>>()
  #failure: unknown = null

  constructor(session: Session, key: string, id: string, known: readonly Part[], signal: AbortSignal) {
    this.#session = session
    this.#key = key
    this.id = id
    this.#known = known
    this.#signal = AbortSignal.any([signal, this.#stop.signal])
  }

  /**
   * Takes the next part and gives its SHA-256; `done` tells that its bytes are not needed any more. Fails with what
   * happened to an earlier one.
   */
  add(bytes: Buffer, done: () => void): string {
    this.#check()
    const index = this.#parts.push(undefined) - 1
    const sha256 = base64Sha256(bytes)
    const known = this.#known[index]
    if (known?.sha256 === sha256) {
      this.#parts[index] = known
      done()
      return sha256
    }
    const sending = this.#send(index, sha256, bytes)
      .then(
        (part) => void (this.#parts[index] = part),
        (error: unknown) => void (this.#failure ??= error),
      )
      .finally(() => {
        this.#sending.delete(sending)
        done()
      })
    this.#sending.add(sending)
    return sha256
  }

  /** The parts from the first one on that the store has, without a gap. */
  get durable(): readonly Part[] {
    const gap = this.#parts.indexOf(undefined)
    return (gap === -1 ? this.#parts : this.#parts.slice(0, gap)) as Part[]
  }

  async all(): Promise<readonly Part[]> {
    await Promise.all(this.#sending)
    this.#check()
    return this.durable
  }

  /** Waits a little for what is under way, then ends it. Never throws. */
  async stop(graceMs: number): Promise<void> {
    const timer = setTimeout(() => this.#stop.abort(), graceMs)
    await Promise.all(this.#sending)
    clearTimeout(timer)
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure
  }

  async #send(index: number, sha256: string, Body: Buffer): Promise<Part> {
    const { bucket } = this.#session
    return this.#session.send(
      'write',
      this.#signal,
      async (client, options) => {
        const command = new UploadPartCommand({
          Bucket: bucket,
          Key: this.#session.full(this.#key),
          UploadId: this.id,
          PartNumber: index + 1,
          Body,
          ChecksumAlgorithm: 'SHA256',
          ChecksumSHA256: sha256,
        })
        command.middlewareStack.add(knownHash(sha256), BEFORE_SIGNING)
        const reply = await client.send(command, options)
        if (reply.ChecksumSHA256 !== sha256 || !reply.ETag)
          throw new Answer('damaged', echoReason(reply.ChecksumSHA256), null)
        return { sha256, etag: reply.ETag }
      },
      Body.length,
    )
  }
}

export function echoReason(echo: string | undefined): string {
  return echo === undefined ? 'its answer holds no checksum' : 'its checksum is of other bytes'
}

export async function beginUpload(session: Session, key: string, signal: AbortSignal): Promise<string> {
  const { bucket, config } = session
  const begun = await session.send('write', signal, (client, options) =>
    client.send(
      new CreateMultipartUploadCommand({
        Bucket: bucket,
        Key: session.full(key),
        ChecksumAlgorithm: 'SHA256',
        StorageClass: config.storage_class as 'STANDARD' | undefined,
        ServerSideEncryption: config.sse,
      }),
      options,
    ),
  )
  if (!begun.UploadId) throw new Answer('broken', 'it named no upload', null)
  return begun.UploadId
}

/** Whether an upload can be gone on with. A writer that may not ask is told yes: the end of the upload will tell. */
export async function isOpen(session: Session, key: string, id: string, signal: AbortSignal): Promise<boolean> {
  try {
    await session.send('write', signal, (client, options) =>
      client.send(
        new ListPartsCommand({ Bucket: session.bucket, Key: session.full(key), UploadId: id, MaxParts: 1 }),
        options,
      ),
    )
    return true
  } catch (error) {
    if (!(error instanceof Answer) || error.passing) throw error
    return error.outcome === 'denied'
  }
}

/** Frees what the parts cost. Never throws: what stays is for the bucket's rule that ends unfinished uploads. */
export async function dropUpload(session: Session, key: string, id: string): Promise<void> {
  const drop = new AbortMultipartUploadCommand({ Bucket: session.bucket, Key: session.full(key), UploadId: id })
  await session
    .send('write', new AbortController().signal, (client, options) => client.send(drop, options))
    .catch(() => undefined)
}
