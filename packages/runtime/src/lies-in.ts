import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Whether one of the files, by whatever name or link, is a file of the folder itself. Those that are not there are not; what cannot be looked at may be. */
export async function anyLiesIn(folder: string, files: readonly string[]): Promise<boolean> {
  if (files.length === 0) return false
  try {
    const names = await unlessMissing(readdir(folder), [])
    const [inside, wanted] = await Promise.all([identities(names.map((name) => join(folder, name))), identities(files)])
    return wanted.some((file) => inside.includes(file))
  } catch {
    return true
  }
}

async function identities(paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(paths.map((path) => unlessMissing(stat(path, { bigint: true }), null)))
  return found.flatMap((file) => (file === null ? [] : [`${file.dev}:${file.ino}`]))
}

async function unlessMissing<T, M>(look: Promise<T>, missing: M): Promise<T | M> {
  try {
    return await look
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return missing
    throw error
  }
}
