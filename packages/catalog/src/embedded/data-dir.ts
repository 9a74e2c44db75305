import { link, mkdir, open, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'

/** Makes data_dir (0700) and an empty database file (0600) where there is none; gives the file's path. */
export async function prepareDataDir(data_dir: string, unique: string): Promise<string> {
  const file = join(data_dir, 'catalog.db')
  try {
    const made = await mkdir(data_dir, { recursive: true, mode: 0o700 })
    if (made !== undefined) await syncFolder(dirname(made))
    await createPrivately(file, `${file}.${unique}`)
    return file
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT') throw new SalvorError('CATALOG_FULL', { reason: code }, error)
    throw new SalvorError('CATALOG_UNREACHABLE', { reason: `${data_dir}: ${code ?? 'cannot be prepared'}` }, error)
  }
}

/**
 * The file comes into being under its name by a link: a descriptor opened and closed on it here would drop the locks
 * that another catalog of this process holds on it.
 */
async function createPrivately(file: string, temporary: string): Promise<void> {
  await writeFile(temporary, '', { mode: 0o600, flag: 'wx' })
  try {
    await link(temporary, file)
    await syncFolder(dirname(file))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(temporary, { force: true })
  }
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r')
  await handle.sync()
}
