import { lstat, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { epochMicros, type Instant } from '@salvor/shared/vocabulary/instant'

const STALE_MS = 3_600_000

/** The name under which a restore writes beside its target. */
export function freshName(target: string, attempt: number): string {
  return join(dirname(target), `.${basename(target)}.restore-${process.pid}-${attempt}`)
}

/**
 * Removes what restores of this target left behind when they were killed, or it would keep the room that the next one
 * needs. Only files of processes that are gone and that nobody has written to for an hour: the process may live in
 * another container. Logs that were moved aside are kept, for they may be all that is left of them.
 */
export async function removeLeftovers(target: string, now: Instant): Promise<void> {
  const prefix = `.${basename(target)}.restore-`
  const names = await readdir(dirname(target)).catch(() => [])
  for (const name of names) {
    const pid = name.startsWith(prefix) ? /^(\d+)-\d+$/.exec(name.slice(prefix.length))?.[1] : undefined
    if (pid === undefined || isAlive(Number(pid))) continue
    const path = join(dirname(target), name)
    const seen = await lstat(path).catch(() => null)
    if (seen?.isFile() && Number(epochMicros(now) / 1000n) - seen.mtimeMs > STALE_MS) await rm(path, { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
