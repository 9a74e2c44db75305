import { DeleteObjectCommand } from '@aws-sdk/client-s3'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectWriter, Store, StoreAdapter, StoredObject, Unfinished } from '@salvor/shared/ports/store'
import { assertObjectKey } from '@salvor/shared/vocabulary/object-key'
import { S3StoreConfig, SECRETS } from './config.ts'
import { listObjects } from './list.ts'
import { lockedUntil } from './lock.ts'
import { ageOf, dropUnfinished, listUnfinished } from './leftovers.ts'
import { headObject, readObject } from './read.ts'
import { PATIENCE, Session, type Patience } from './session.ts'
import { S3Writer } from './write.ts'

/** Objects in a bucket of S3 or of a service that speaks it with SHA-256 checksums and conditional writes. */
export class S3Store implements Store {
  readonly name: string
  readonly kind = 's3'
  readonly capabilities = { remote: true, objectLock: false, replace: false }
  readonly #session: Session

  constructor(name: string, config: S3StoreConfig, patience: Partial<Patience> = {}) {
    this.name = name
    this.#session = new Session(name, config, { ...PATIENCE, ...patience })
  }

  async create(
    key: string,
    options: { readonly resume?: string | null; readonly size?: number | null },
    signal: AbortSignal,
  ): Promise<ObjectWriter> {
    assertObjectKey(key)
    throwIfInterrupted(signal)
    return new S3Writer(this.#session, key, options, signal)
  }

  async head(key: string, signal: AbortSignal): Promise<StoredObject | null> {
    assertObjectKey(key)
    return this.#session.told('look at', key, () => headObject(this.#session, key, signal))
  }

  async *read(
    key: string,
    range: { readonly offset: number; readonly length: number } | null,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    assertObjectKey(key)
    try {
      yield* readObject(this.#session, key, range, signal)
    } catch (error) {
      throw this.#session.error('read', key, error)
    }
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject> {
    try {
      yield* listObjects(this.#session, prefix, signal)
    } catch (error) {
      throw this.#session.error('list', '', error)
    }
  }

  async age(key: string, signal: AbortSignal): Promise<number | null> {
    assertObjectKey(key)
    return this.#session.told('look at', key, () => ageOf(this.#session, key, signal))
  }

  async *unfinished(signal: AbortSignal): AsyncGenerator<Unfinished> {
    try {
      yield* listUnfinished(this.#session, signal)
    } catch (error) {
      throw this.#session.error('list the uploads of', '', error)
    }
  }

  async drop(upload: Unfinished, signal: AbortSignal): Promise<void> {
    const { key } = upload
    if (key === null) return
    assertObjectKey(key)
    await this.#session.told('end the upload of', key, () => dropUnfinished(this.#session, key, upload.id, signal))
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    assertObjectKey(key)
    const from = { Bucket: this.#session.bucket, Key: this.#session.full(key) }
    await this.#session.told('delete', key, () =>
      this.#session.send('delete', signal, (client, options) => client.send(new DeleteObjectCommand(from), options)),
    )
  }

  async replace(key: string): Promise<void> {
    assertObjectKey(key)
    throw new SalvorError('STORE_DENIED', {
      store: this.name,
      what: `replace ${key}`,
      reason: 'its objects are written once',
    })
  }

  async lockedUntil(key: string, signal: AbortSignal) {
    assertObjectKey(key)
    return this.#session.told('see the lock of', key, () => lockedUntil(this.#session, key, signal))
  }

  /** A bucket has no end, and counting it costs a list of all keys. */
  async space() {
    return { used_bytes: null, free_bytes: null }
  }

  localPath(key: string): null {
    assertObjectKey(key)
    return null
  }

  async close(): Promise<void> {
    this.#session.close()
  }
}

export const adapter = {
  kind: 's3',
  schema: S3StoreConfig,
  secrets: SECRETS,
  open: (name, config) => new S3Store(name, config),
} satisfies StoreAdapter<S3StoreConfig>
