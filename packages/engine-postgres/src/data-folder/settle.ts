import { constants } from 'node:fs'
import { lchown, open, readdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

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
  const { folders, files, links } = await tree(root)
  if (owner !== null) await forEach(links, signal, (path) => lchown(path, owner.uid, owner.gid))
  await forEach(files, signal, (path) => settleOne(path, owner))
  await forEach(folders, signal, (path) => settleOne(path, owner))
}

/** A rename or a new file in a folder lasts only after this. */
export async function syncFolder(path: string, owner: Owner | null = null): Promise<void> {
  await settleOne(Buffer.from(path), owner)
}

async function settleOne(path: Buffer, owner: Owner | null): Promise<void> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    if (owner !== null) await file.chown(owner.uid, owner.gid)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Every path of a tree, its root too. */
export async function listTree(root: string): Promise<Buffer[]> {
  const { folders, files, links } = await tree(root)
  return [...folders, ...files, ...links]
}

interface Tree {
  readonly folders: Buffer[]
  readonly files: Buffer[]
  readonly links: Buffer[]
}

async function tree(root: string): Promise<Tree> {
  const folders: Buffer[] = [Buffer.from(root)]
  const files: Buffer[] = []
  const links: Buffer[] = []
  // The list grows while it is walked.
  for (const folder of folders) {
    for (const entry of await readdir(folder, { withFileTypes: true, encoding: 'buffer' })) {
      const path = Buffer.concat([folder, Buffer.from('/'), entry.name])
      if (entry.isDirectory()) folders.push(path)
      else if (entry.isSymbolicLink()) links.push(path)
      else files.push(path)
    }
  }
  return { folders, files, links }
}

async function forEach(paths: Buffer[], signal: AbortSignal, act: (path: Buffer) => Promise<void>): Promise<void> {
  const queue = paths.values()
  const work = async () => {
    for (const path of queue) {
      signal.throwIfAborted()
      await act(path)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}
