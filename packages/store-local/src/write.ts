import { lstatSync } from 'node:fs'
import { link, lstat, unlink, type FileHandle } from 'node:fs/promises'
import { throwIfInterrupted } from '@salvor/shared/errors/interrupted'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectWriter, StoredObject } from '@salvor/shared/ports/store'
import { errnoOf, type Place } from './place.ts'
import { ReadBack } from './read-back.ts'
import { SameBytes, Sha256 } from './read-back-proof.ts'
import { hashObject } from './same-bytes.ts'
import type { Room } from './room.ts'

/** So many bytes are made durable and read back together, while the next ones are written. */
const STRETCH = 64 * 1024 * 1024

const LINK_REFUSED: Readonly<Record<string, string>> = {
  EPERM: 'its file system has no hard links, which keep an object from being overwritten',
  EOPNOTSUPP: 'its file system has no hard links, which keep an object from being overwritten',
  EXDEV: 'one of its folders lies on another file system',
}

/**
 * Writes a file of its own, makes it durable, reads it back, and only then gives it the object's name: by a link, which
 * cannot overwrite. The digest is that of the bytes read back, and whoever sent them compares it with theirs; where they hash anyway, the comparison
 * is made here. A kill leaves a temporary file, never half an object. After an error of fsync the file is dropped: the kernel may have forgotten its pages, so a
 * second fsync would prove nothing.
 */
export class LocalWriter implements ObjectWriter {
  readonly resumeToken = null
  readonly #place: Place
  readonly #key: string
  readonly #path: string
  readonly #temporary: string
  readonly #handle: FileHandle
  readonly #room: Room
  readonly #signal: AbortSignal
  readonly #readBack: ReadBack
  #size = 0
  #settled = false
  #failure: SalvorError | null = null

  constructor(place: Place, target: WriteTarget, room: Room, signal: AbortSignal) {
    this.#place = place
    this.#key = target.key
    this.#path = target.path
    this.#temporary = target.temporary.path
    this.#handle = target.temporary.handle
    this.#room = room
    this.#signal = signal
    const proof = target.hashed ? new SameBytes() : new Sha256()
    this.#readBack = new ReadBack(this.#handle, this.#temporary, proof, place.isLocal)
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#guarded(async () => {
      this.#room.check(chunk.length)
      this.#readBack.given(chunk)
      await writeFully(this.#handle, chunk, this.#size)
      this.#size += chunk.length
      this.#room.take(chunk.length)
      if (this.#size - this.#readBack.asked >= STRETCH) await this.#readBack.upTo(this.#size)
    })
  }

  finish(sent?: string): Promise<StoredObject> {
    return this.#guarded(async () => {
      const sha256 = await this.#readBack.finish(this.#size, sent ?? null)
      if (sha256 === null) throw this.#differs('what was read back is not what was written')
      await this.#handle.close()
      throwIfInterrupted(this.#signal)
      const stored = { key: this.#key, size: this.#size, sha256 }
      const named = await this.#name()
      await (named ? this.#seen(stored) : this.#compare(stored))
      this.#settled = true
      this.#room.end(this.#size, named)
      return stored
    })
  }

  async abort(): Promise<void> {
    if (this.#settled) return
    this.#settled = true
    this.#room.end(this.#size, false)
    await this.#readBack.close().catch(() => undefined)
    await this.#handle.close().catch(() => undefined)
    await unlink(this.#temporary).catch(() => undefined)
  }

  /** False: the name is taken. */
  async #name(): Promise<boolean> {
    const named = await link(this.#temporary, this.#path).then(
      () => true,
      (error: unknown) => {
        if (errnoOf(error) === 'EEXIST') return false
        throw this.#unlinkable(error)
      },
    )
    await unlink(this.#temporary)
    await this.#place.syncFolder(this.#path)
    return named
  }

  async #seen(stored: StoredObject): Promise<void> {
    const { size } = this.#place.isLocal ? lstatSync(this.#path) : await lstat(this.#path)
    if (size !== stored.size) throw this.#differs('its size is not the one written')
  }

  /** What lies there may come from a writer that was killed before it made it durable. */
  async #compare(stored: StoredObject): Promise<void> {
    await using handle = await this.#place.openObject(this.#key)
    const same = (await handle.stat()).size === stored.size && (await hashObject(handle)) === stored.sha256
    if (!same) throw new SalvorError('STORE_CONFLICT', { store: this.#place.store, key: this.#key })
    await handle.sync()
  }

  #unlinkable(error: unknown): unknown {
    const reason = LINK_REFUSED[errnoOf(error)]
    if (reason === undefined) return error
    return new SalvorError('STORE_IO', { store: this.#place.store, reason }, error)
  }

  #differs(reason: string): SalvorError {
    return new SalvorError('STORE_BAD_ECHO', { store: this.#place.store, key: this.#key, reason })
  }

  /** The first failure is the writer's last word. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failure !== null) throw this.#failure
    try {
      throwIfInterrupted(this.#signal)
      return await work()
    } catch (error) {
      this.#failure = this.#place.failure(`write ${this.#key}`, error)
      throw this.#failure
    }
  }
}

export interface WriteTarget {
  readonly key: string
  readonly path: string
  readonly temporary: { readonly path: string; readonly handle: FileHandle }
  /** Whoever writes tells the SHA-256 of it at the end. */
  readonly hashed: boolean
}

export async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await handle.write(bytes, at, bytes.length - at, position + at)).bytesWritten
  }
}
