import { lchown, lstat, readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { listTree } from '../data-folder/settle.ts'
import { serverUser, type ServerUser } from '../sandbox/user.ts'

export interface HandedOver extends AsyncDisposable {
  /** As whom the server runs. */
  readonly user: ServerUser
}

/**
 * Lets a server run in a data folder: as the folder's owner, since a server insists on that. A folder of root's is another's
 * while it runs, for no server runs as root; disposing gives it back, with what the server has made.
 */
export async function handOver(data: string): Promise<HandedOver> {
  if (process.geteuid?.() !== 0) return { user: {}, [Symbol.asyncDispose]: async () => undefined }
  const { uid, gid } = await stat(data)
  if (uid !== 0) return { user: { uid, gid }, [Symbol.asyncDispose]: async () => undefined }
  const user = serverUser()
  await give(data, user.uid!, user.gid!)
  return { user, [Symbol.asyncDispose]: () => give(data, uid, gid) }
}

async function give(data: string, uid: number, gid: number): Promise<void> {
  for (const root of [data, ...(await linkedTablespaces(data))]) {
    for await (const path of listTree(root)) await lchown(path, uid, gid)
  }
}

async function linkedTablespaces(data: string): Promise<readonly string[]> {
  const folder = join(data, 'pg_tblspc')
  const found: string[] = []
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    if ((await lstat(path)).isSymbolicLink()) found.push(await realpath(path))
  }
  return found
}
