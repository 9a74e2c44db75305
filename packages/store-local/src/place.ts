import { closeSync, constants, fsync, openSync, realpathSync } from 'node:fs'
import { lstat, mkdir, open, realpath, statfs, type FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ErrorCode } from '@salvor/shared/errors/codes'
import { LOCAL_FILE_SYSTEMS } from '@salvor/shared/vocabulary/local-file-systems'
import { assertObjectKey } from '@salvor/shared/vocabulary/object-key'

const syncFile = promisify(fsync)

const CODE_OF: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'STORE_FULL',
  EDQUOT: 'STORE_FULL',
  EFBIG: 'STORE_FULL',
  EACCES: 'STORE_DENIED',
  EPERM: 'STORE_DENIED',
  EROFS: 'STORE_DENIED',
  ELOOP: 'STORE_DENIED',
}

export function errnoOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | null)?.code ?? ''
}

/** No such object: also a folder of that name, or a file where the key has a folder. */
export function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errnoOf(error))
}

/** The folder of a store, and the only way from a key to a path: no link below the root is ever followed. */
export class Place {
  readonly store: string
  readonly path: string
  #root: string | null = null
  /** What is asked about names, and about bytes that were just written, is answered from memory: to have another thread ask takes longer than the answer. */
  isLocal = false
  /** Folders whose names are known to be durable, all the way up to the root's own. */
  readonly #durable = new Set<string>()

  constructor(store: string, path: string) {
    this.store = store
    this.path = resolve(path)
  }

  /** The root's real path. ENOENT while nothing was ever written. */
  async root(): Promise<string> {
    if (this.#root !== null) return this.#root
    const root = await realpath(this.path)
    this.isLocal = LOCAL_FILE_SYSTEMS.has((await statfs(root)).type)
    return (this.#root = root)
  }

  /** Where the object lies. The folders on the way exist and are no links; the last part is not looked at. */
  async locate(key: string): Promise<string> {
    assertObjectKey(key)
    const path = join(await this.root(), key)
    const folder = dirname(path)
    const found = this.isLocal ? realpathSync.native(folder) : await realpath(folder)
    if (found !== folder) throw this.#linked(key)
    return path
  }

  /** The same, and makes what is missing: folders of mode 0700. */
  async prepare(key: string): Promise<string> {
    assertObjectKey(key)
    if (this.#root !== null && this.#durable.has(dirname(join(this.#root, key)))) {
      // It was there a moment ago.
      const there = await this.locate(key).catch((error: unknown) => {
        if (isMissing(error)) return null
        throw error
      })
      if (there !== null) return there
    }
    await mkdir(this.path, { recursive: true, mode: 0o700 })
    const root = await this.root()
    let folder = root
    for (const part of key.split('/').slice(0, -1)) {
      folder = join(folder, part)
      await mkdir(folder, { mode: 0o700 }).then(
        () => this.#durable.delete(dirname(join(root, key))),
        async (error: unknown) => {
          if (errnoOf(error) !== 'EEXIST' || !(await lstat(folder)).isDirectory()) throw error
        },
      )
    }
    return this.locate(key)
  }

  /** Makes the names in the folder of `path` durable, and once every name on the way to it: some may be new. */
  async syncFolder(path: string): Promise<void> {
    const folder = dirname(path)
    await syncPath(folder, this.isLocal)
    if (this.#durable.has(folder)) return
    const root = await this.root()
    for (let above = folder; above !== '/';) {
      const ours = above.startsWith(root)
      above = dirname(above)
      await syncPath(above, this.isLocal).catch((error: unknown) => {
        // Folders far above the store may be closed to this user, and were there before it.
        if (ours || !['EACCES', 'EPERM', 'EROFS', 'EINVAL'].includes(errnoOf(error))) throw error
      })
    }
    this.#durable.add(folder)
  }

  /** Opens an object for reading: a plain file, reached without a link. A pipe put in its place does not block. */
  async openObject(key: string): Promise<FileHandle> {
    const path = await this.locate(key)
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const found = await handle.stat()
      if (found.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
      if (!found.isFile())
        throw new SalvorError('STORE_DENIED', {
          store: this.store,
          what: `open ${key}`,
          reason: 'it is not a plain file',
        })
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** What the file system said, as an error of the store. */
  failure(what: string, error: unknown): SalvorError {
    if (error instanceof SalvorError) return error
    const errno = errnoOf(error)
    const reason = errno === 'ELOOP' ? 'a symbolic link lies in its place' : errno || (error as Error).name
    const code = CODE_OF[errno] ?? 'STORE_IO'
    return new SalvorError(
      code,
      { store: this.store, what, reason: code === 'STORE_IO' ? `${what}: ${reason}` : reason },
      error,
    )
  }

  missing(key: string): SalvorError {
    return new SalvorError('STORE_NOT_FOUND', { store: this.store, key })
  }

  #linked(key: string): SalvorError {
    return new SalvorError('STORE_DENIED', {
      store: this.store,
      what: `open ${key}`,
      reason: 'a symbolic link lies on its way',
    })
  }
}

async function syncPath(path: string, isLocal: boolean): Promise<void> {
  if (isLocal) {
    const fd = openSync(path, constants.O_RDONLY)
    return syncFile(fd).finally(() => closeSync(fd))
  }
  await using handle = await open(path, constants.O_RDONLY)
  await handle.sync()
}
