import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isStageName } from './data-folder/put-in-place.ts'

/** Refuses a folder that must not be written to. Writes nothing. */
export async function assertTarget(target: string, inPlace: boolean): Promise<void> {
  const found = await stat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw new SalvorError('RESTORE_FAILED', { target, reason: `it cannot be looked at (${error.code})` }, error)
  })
  if (found === null) {
    if (inPlace) throw notADataFolder(target, 'it does not exist')
    return
  }
  if (!found.isDirectory()) {
    throw inPlace ? notADataFolder(target, 'it is not a folder') : new SalvorError('TARGET_NOT_EMPTY', { target })
  }
  const entries = (await readdir(target)).filter((name) => !isStageName(name))
  if (!inPlace) {
    if (entries.length > 0) throw new SalvorError('TARGET_NOT_EMPTY', { target })
    return
  }
  await assertLooksLikeData(target)
  await assertStopped(target)
}

/** A local data folder, and no server that may be at work in it. */
export async function assertStoppedDataFolder(target: string): Promise<void> {
  const [version, control] = await Promise.all([
    stat(join(target, 'PG_VERSION')).catch(() => null),
    stat(join(target, 'global', 'pg_control')).catch(() => null),
  ])
  if (!version?.isFile() || !control?.isFile()) {
    throw notADataFolder(target, 'PG_VERSION or global/pg_control is missing')
  }
  await assertStopped(target)
}

/** What is replaced may be the ruin of a server: it is kept under another name. Two of three marks must be there. */
export async function assertLooksLikeData(
  target: string,
  refused = (reason: string): SalvorError => notADataFolder(target, reason),
): Promise<void> {
  const marks = ['PG_VERSION', 'global/pg_control', 'base']
  const found = await Promise.all(marks.map((mark) => stat(join(target, mark)).catch(() => null)))
  if (found.filter((mark) => mark !== null).length < 2) throw refused(`of ${marks.join(', ')} more than one is missing`)
}

/** TARGET_IN_USE. */
export async function assertStopped(target: string): Promise<void> {
  const lock = await readFile(join(target, 'postmaster.pid'), 'latin1').catch(() => null)
  const pid = lock === null ? Number.NaN : Number.parseInt(lock, 10)
  if (Number.isInteger(pid) && isAlive(Math.abs(pid))) {
    const by = `a PostgreSQL server (postmaster.pid names process ${Math.abs(pid)}; if no server runs there, remove that file)`
    throw new SalvorError('TARGET_IN_USE', { target, by })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Another user's process may not be signalled, but it is there.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

const notADataFolder = (target: string, reason: string): SalvorError =>
  new SalvorError('RESTORE_FAILED', { target, reason: `it is not the data folder of a PostgreSQL server: ${reason}` })
