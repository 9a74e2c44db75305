import { link, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { SIDECARS } from './in-use.ts'
import { isMissing } from './target.ts'

/**
 * Gives the finished file its name. What a former database left beside it must be gone before: SQLite would play an old
 * -wal or -journal back into the new file. They are moved aside first and deleted last, so that a failed rename can put
 * them back. Without `replaces` a file that came into being meanwhile is not overwritten.
 */
export async function putInPlace(fresh: string, target: string, replaces: boolean): Promise<void> {
  const aside: { readonly from: string; readonly to: string }[] = []
  try {
    for (const end of SIDECARS) {
      const move = { from: target + end, to: `${fresh}${end}` }
      if (await moved(move)) aside.push(move)
    }
    await name(fresh, target, replaces)
  } catch (error) {
    for (const { from, to } of aside) await rename(to, from)
    throw error
  }
  await syncFolder(dirname(target))
  for (const { to } of aside) await rm(to, { force: true })
}

async function moved({ from, to }: { readonly from: string; readonly to: string }): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

async function name(fresh: string, target: string, replaces: boolean): Promise<void> {
  if (replaces) return rename(fresh, target)
  try {
    await link(fresh, target)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EEXIST') throw new SalvorError('TARGET_NOT_EMPTY', { target }, error)
    // Some file systems know no hard links; there the look before has to do.
    if (code !== 'EPERM' && code !== 'EOPNOTSUPP' && code !== 'ENOTSUP') throw error
    return rename(fresh, target)
  }
  await rm(fresh)
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
