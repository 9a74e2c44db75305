import { lchown, lstat, readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
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
  const tablespaces = await linkedTablespaces(data)
  // The folder that a restore makes around tablespaces is closed to others.
  const around = `${await realpath(data)}_tblspc`
  if (tablespaces.some((place) => dirname(place) === around)) await lchown(around, uid, gid)
  for (const root of [data, ...tablespaces]) {
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
