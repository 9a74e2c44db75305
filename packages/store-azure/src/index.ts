import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type {
  ObjectWriter,
  Store,
  StoreAdapter,
  StoredObject,
  StoreSpace,
  Unfinished,
} from '@salvor/shared/ports/store'
import { assertKeyPrefix, assertObjectKey } from '@salvor/shared/vocabulary/object-key'
import { AzureStoreConfig, SECRETS } from './config.ts'
import { isRefusal, ServiceError, storeError } from './errors.ts'
import { listBlobs } from './list.ts'
import { lockedUntil } from './lock.ts'
import { AzurePlace, TIMING, type Timing } from './place.ts'
import { DIGEST, propertiesOf } from './properties.ts'
import { readBlob, type ByteRange } from './read.ts'
import { openWriter } from './write.ts'

/** Objects as block blobs of one container. */
export class AzureStore implements Store {
  readonly name: string
  readonly kind = 'azure'
  readonly capabilities = { remote: true, objectLock: false, replace: false }
  readonly #place: AzurePlace

  constructor(name: string, config: AzureStoreConfig, timing: Timing = TIMING) {
    this.name = name
    this.#place = new AzurePlace(name, config, timing)
  }

  async create(
    key: string,
    options: { readonly resume?: string | null; readonly size?: number | null },
    signal: AbortSignal,
  ): Promise<ObjectWriter> {
    assertObjectKey(key)
    return this.#said(`take ${key}`, key, () => openWriter(this.#place, key, options, signal))
  }

  /** The digest is the one that the writer set: it says what should be there, and only reading proves it. */
  async head(key: string, signal: AbortSignal): Promise<StoredObject | null> {
    assertObjectKey(key)
    return this.#said(`look at ${key}`, key, async () => {
      const found = await propertiesOf(this.#place, key, signal)
      return found && { key, size: found.contentLength ?? 0, sha256: found.metadata?.[DIGEST] ?? null }
    })
  }

  async *read(key: string, range: ByteRange | null, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    assertObjectKey(key)
    try {
      yield* readBlob(this.#place, key, range, signal)
    } catch (error) {
      throw storeError(this.name, `read ${key}`, key, error)
    }
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject> {
    assertKeyPrefix(prefix)
    try {
      yield* listBlobs(this.#place, prefix, signal)
    } catch (error) {
      throw storeError(this.name, 'list its objects', prefix, error)
    }
  }

  async age(key: string, signal: AbortSignal): Promise<number | null> {
    assertObjectKey(key)
    return this.#said(`look at ${key}`, key, async () => {
      const found = await propertiesOf(this.#place, key, signal)
      if (found === null) return null
      const { date, lastModified } = found
      if (date === undefined || lastModified === undefined) throw new ServiceError({ code: 'NoDate' })
      return Math.max(0, date.getTime() - lastModified.getTime())
    })
  }

  /** The service drops blocks that nobody committed after a week, and has no call that drops them earlier. */
  async *unfinished(signal: AbortSignal): AsyncGenerator<Unfinished> {
    throwIfInterrupted(signal)
    yield* []
  }

  async drop(_upload: Unfinished, signal: AbortSignal): Promise<void> {
    throwIfInterrupted(signal)
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    assertObjectKey(key)
    await this.#said(`delete ${key}`, key, async () => {
      try {
        const options = { deleteSnapshots: 'include' as const }
        await this.#place.request(signal, (abortSignal) =>
          this.#place.blob(key, 'delete').delete({ ...options, abortSignal }),
        )
      } catch (error) {
        if (!isRefusal(error, 'missing')) throw error
      }
    })
  }

  async replace(key: string, _bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    assertObjectKey(key)
    throwIfInterrupted(signal)
    throw new SalvorError('STORE_DENIED', {
      store: this.name,
      what: `replace ${key}`,
      reason: 'objects are write-once',
    })
  }

  lockedUntil(key: string, signal: AbortSignal) {
    return lockedUntil(key, signal)
  }

  /** The service does not tell: an account has no end, and sums are made once a day. */
  async space(signal: AbortSignal): Promise<StoreSpace> {
    throwIfInterrupted(signal)
    return { used_bytes: null, free_bytes: null }
  }

  localPath(key: string): null {
    assertObjectKey(key)
    return null
  }

  async close(): Promise<void> {}

  async #said<T>(what: string, key: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw storeError(this.name, what, key, error)
    }
  }
}

export const adapter = {
  kind: 'azure',
  schema: AzureStoreConfig,
  secrets: SECRETS,
  open: (name, config) => new AzureStore(name, config),
} satisfies StoreAdapter<AzureStoreConfig>
