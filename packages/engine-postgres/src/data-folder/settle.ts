import { closeSync, constants, fchownSync, fsync, openSync } from 'node:fs'
import { lchown, opendir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** Syncs at work at once: the file system gathers them into few journal commits. */
const AT_ONCE = 16

/** Who shall own what is restored to `target`: the owner of what is replaced, else of the folder above. Null: not ours to change. */
export async function ownerFor(target: string): Promise<Owner | null> {
  if (process.geteuid?.() !== 0) return null
  const { uid, gid } = await stat(target).catch(() => stat(dirname(target)))
  return { uid, gid }
}

/** Gives a whole tree to its owner and makes it durable: every file, then every folder. Links are not followed. */
export async function settle(root: string, owner: Owner | null, signal: AbortSignal): Promise<void> {
  const folders: Buffer[] = []
  await forEach(tree(root), signal, async ({ path, kind }) => {
    if (kind === 'folder') folders.push(path)
    else if (kind === 'file') await settleOne(path, owner)
    else if (owner !== null) await lchown(path, owner.uid, owner.gid)
  })
  await forEach(folders, signal, (path) => settleOne(path, owner))
}

/** A rename or a new file in a folder lasts only after this. */
export async function syncFolder(path: string, owner: Owner | null = null): Promise<void> {
  await settleOne(Buffer.from(path), owner)
}

const sync = promisify(fsync)

/** Opened, given and closed here: handing these to another thread takes longer than they do. */
async function settleOne(path: Buffer, owner: Owner | null): Promise<void> {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (owner !== null) fchownSync(file, owner.uid, owner.gid)
    await sync(file)
  } finally {
    closeSync(file)
  }
}

/** Every path of a tree, its root too. */
export async function* listTree(root: string): AsyncGenerator<Buffer> {
  for await (const { path } of tree(root)) yield path
}

interface Entry {
  readonly path: Buffer
  readonly kind: 'folder' | 'file' | 'link'
}

/** One folder after the other, and none of them as a whole: there may be a million files. Names are bytes. */
async function* tree(root: string): AsyncGenerator<Entry> {
  const folders: Buffer[] = [Buffer.from(root)]
  for (let folder; (folder = folders.pop()) !== undefined;) {
    yield { path: folder, kind: 'folder' }
    for await (const entry of await opendir(folder, { encoding: 'latin1', bufferSize: AT_ONCE * AT_ONCE })) {
      const path = Buffer.concat([folder, Buffer.from('/'), Buffer.from(entry.name, 'latin1')])
      if (entry.isDirectory()) folders.push(path)
      else yield { path, kind: entry.isSymbolicLink() ? 'link' : 'file' }
    }
  }
}

async function forEach<T>(
  all: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal,
  act: (one: T) => Promise<void>,
): Promise<void> {
  const queue = shared(all)
  const work = async () => {
    for await (const one of queue) {
      signal.throwIfAborted()
      await act(one)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

/** Several takers share it: whoever asks gets the next one. */
async function* shared<T>(all: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T> {
  yield* all
}
