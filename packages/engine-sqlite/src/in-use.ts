import { readdir, readFile, stat } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { startSqlite } from './sqlite-process.ts'

export const SIDECARS = ['-wal', '-shm', '-journal'] as const

const CLAIM_MS = 30_000

/** Refuses a target that anybody works with. Writes nothing. */
export async function assertNotInUse(target: string, scratch: string): Promise<void> {
  const holders = await whoHasOpen(target)
  if (holders.length === 0 && (await isLocked(target, scratch))) {
    holders.push('a program in another container, or of another user')
  }
  if (holders.length > 0) throw new SalvorError('TARGET_IN_USE', { target, by: holders.join(', ') })
}

/** Programs that have the database or one of the files beside it open, as `pid 123 (name)`, as far as /proc tells. */
export async function whoHasOpen(path: string): Promise<string[]> {
  const wanted = new Set<string>()
  for (const file of [path, ...SIDECARS.map((end) => path + end)]) {
    const seen = await stat(file, { bigint: true }).catch(() => null)
    if (seen) wanted.add(`${seen.dev}:${seen.ino}`)
  }
  if (wanted.size === 0) return []
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const holders: string[] = []
  for (const pid of pids) {
    if (await holdsOneOf(pid, wanted)) holders.push(`pid ${pid} (${await nameOf(pid)})`)
  }
  return holders
}

async function holdsOneOf(pid: string, wanted: ReadonlySet<string>): Promise<boolean> {
  // Processes of other users cannot be looked into, and processes end while they are looked at.
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [])
  for (const fd of descriptors) {
    const seen = await stat(`/proc/${pid}/fd/${fd}`, { bigint: true }).catch(() => null)
    if (seen && wanted.has(`${seen.dev}:${seen.ino}`)) return true
  }
  return false
}

/**
 * Whether a lock says that somebody has it open. Only WAL mode keeps one all the time, and only together with a log; a
 * rollback journal is not opened here, because reading would play it back.
 */
export async function isLocked(path: string, scratch: string): Promise<boolean> {
  const [log, journal] = await Promise.all(['-wal', '-journal'].map((end) => stat(path + end).catch(() => null)))
  if (!log || journal) return false
  const failure = (failed: { readonly code: string; readonly text: string }) => {
    const cause = Object.assign(new Error(failed.text), { code: failed.code })
    return new SalvorError('INTERNAL', { what: `SQLite said ${failed.code}` }, cause)
  }
  const signal = AbortSignal.timeout(CLAIM_MS)
  await using sqlite = startSqlite({ task: 'claim', path }, { scratch, signal, failure })
  try {
    await sqlite.next('claimed')
    return false
  } catch (error) {
    const code = error instanceof Error && error.cause instanceof Error && 'code' in error.cause ? error.cause.code : ''
    // What cannot be opened at all cannot be in use either; that it is damaged may be the reason to restore.
    return String(code).startsWith('SQLITE_BUSY')
  }
}

async function nameOf(pid: string): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'unknown')).trim()
}
