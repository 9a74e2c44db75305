import { realpathSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectWriter, Store, StoreAdapter, Unfinished } from '@salvor/shared/ports/store'
import { assertObjectKey } from '@salvor/shared/vocabulary/object-key'
import { bytesOf } from '@salvor/shared/vocabulary/amounts'
import { LocalStoreConfig } from './config.ts'
import { listObjects, spaceOf, usedBytes } from './list.ts'
import { lockedUntil } from './lock.ts'
import { isMissing, Place } from './place.ts'
import { headObject, readObject } from './read.ts'
import { removeObject, replaceObject } from './remove.ts'
import { Room } from './room.ts'
import { abandoned, clockOf, openTemporary, removeTemporary, sweepTemporary } from './temporary.ts'
import { LocalWriter } from './write.ts'

/** Objects as files in a folder of this machine: 0600 in folders of 0700. */
export class LocalStore implements Store {
  readonly name: string
  readonly kind = 'local'
  readonly capabilities = { remote: false, objectLock: false, replace: true }
  readonly #place: Place
  readonly #max: number | null
  readonly #room: Room
  #swept = false

  constructor(name: string, config: LocalStoreConfig) {
    this.name = name
    this.#place = new Place(name, config.path)
    this.#max = config.max_size === undefined ? null : bytesOf(config.max_size)
    this.#room = new Room(name, this.#max)
  }

  async create(
    key: string,
    options: { readonly size?: number | null; readonly hashed?: true },
    signal: AbortSignal,
  ): Promise<ObjectWriter> {
    assertObjectKey(key)
    throwIfInterrupted(signal)
    await this.#room.open(options.size ?? 0, () => usedBytes(this.#place, signal))
    try {
      const path = await this.#place.prepare(key)
      const temporary = await openTemporary(await this.#place.root())
      if (!this.#swept) await this.#sweepOnce((await temporary.handle.stat()).mtimeMs)
      return new LocalWriter(this.#place, { key, path, temporary, hashed: options.hashed === true }, this.#room, signal)
    } catch (error) {
      throw this.#place.failure(`write ${key}`, error)
    }
  }

  head(key: string, signal: AbortSignal) {
    return headObject(this.#place, key, signal)
  }

  read(key: string, range: { readonly offset: number; readonly length: number } | null, signal: AbortSignal) {
    return readObject(this.#place, key, range, signal)
  }

  list(prefix: string, signal: AbortSignal) {
    return listObjects(this.#place, prefix, signal)
  }

  async age(key: string, signal: AbortSignal): Promise<number | null> {
    assertObjectKey(key)
    throwIfInterrupted(signal)
    try {
      const { mtimeMs } = await lstat(await this.#place.locate(key))
      return Math.max(0, (await clockOf(await this.#place.root())) - mtimeMs)
    } catch (error) {
      if (isMissing(error)) return null
      throw this.#place.failure(`see the age of ${key}`, error)
    }
  }

  async *unfinished(signal: AbortSignal): AsyncGenerator<Unfinished> {
    throwIfInterrupted(signal)
    try {
      const root = await this.#place.root()
      for (const { name, age_ms } of await abandoned(root, await clockOf(root))) yield { key: null, id: name, age_ms }
    } catch (error) {
      if (!isMissing(error)) throw this.#place.failure('look for unfinished files', error)
    }
  }

  async drop({ id }: Unfinished, signal: AbortSignal): Promise<void> {
    throwIfInterrupted(signal)
    try {
      await removeTemporary(await this.#place.root(), id)
    } catch (error) {
      if (!isMissing(error)) throw this.#place.failure(`remove ${id}`, error)
    }
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await removeObject(this.#place, key, signal)
    this.#room.forget()
  }

  async replace(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await replaceObject(this.#place, key, bytes, signal)
    this.#room.forget()
  }

  lockedUntil(key: string, signal: AbortSignal) {
    return lockedUntil(key, signal)
  }

  space(signal: AbortSignal) {
    return spaceOf(this.#place, this.#max, signal)
  }

  localPath(key: string): string {
    assertObjectKey(key)
    try {
      const path = join(realpathSync(this.#place.path), key)
      if (realpathSync(path) === path) return path
    } catch (error) {
      throw isMissing(error) ? this.#place.missing(key) : this.#place.failure(`open ${key}`, error)
    }
    throw new SalvorError('STORE_DENIED', {
      store: this.name,
      what: `open ${key}`,
      reason: 'a symbolic link lies on its way',
    })
  }

  async close(): Promise<void> {}

  /** A leftover that cannot be removed is no reason to lose a backup. */
  async #sweepOnce(nowMs: number): Promise<void> {
    if (this.#swept) return
    this.#swept = true
    await sweepTemporary(await this.#place.root(), nowMs).catch(() => undefined)
  }
}

export const adapter = {
  kind: 'local',
  schema: LocalStoreConfig,
  secrets: [],
  open: (name, config) => new LocalStore(name, config),
} satisfies StoreAdapter<LocalStoreConfig>
