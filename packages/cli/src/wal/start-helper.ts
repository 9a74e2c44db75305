import { spawn } from 'node:child_process'
import { open, rm, stat, utimes } from 'node:fs/promises'
import { helperPlace, ownFolder } from './helper-place.ts'

/** A source whose calls come further apart is served by a process each. */
const OFTEN_MS = 60_000
/** One that starts for longer has failed. A busy machine takes many seconds, and a second one would not help it. */
const STARTS_MS = 30_000

/** Megabytes. What passes by are buffers, which serve again or lie outside of this heap: a larger young generation would only fill up. */
const LIMITS = ['--max-old-space-size=256', '--max-semi-space-size=1']

/** Of glibc: threads that share one arena do not keep the buffers of former segments each in its own. */
const MALLOC = { MALLOC_ARENA_MAX: '1' }

/** What a helper is started with, beside the configuration: see `wal helper`. */
const WORDS = ['wal', 'helper']

/**
 * Called when a call has done its work by itself: starts a helper for the next ones, if one will soon come. `more`: it is known
 * to come. `config`: absolute path. Never rejects, and waits for nothing.
 */
export async function startHelper(config: string, more: boolean): Promise<void> {
  if (process.env['SALVOR_WAL_HELPER'] === 'off') return
  try {
    const { folder, stamp, starting } = helperPlace(config)
    if (!(await ownFolder(folder))) return
    const often = await isYounger(stamp, OFTEN_MS)
    await touch(stamp)
    if (!more && !often) return
    if (!(await isYounger(starting, STARTS_MS))) await rm(starting, { force: true })
    await (await open(starting, 'wx')).close()
    const { SALVOR_WAL_HELPER: _asked, ...asked } = process.env
    const env = { ...MALLOC, ...asked }
    const [node, main = ''] = process.argv
    const args = [...process.execArgv, ...LIMITS, main, '--config', config, ...WORDS]
    const child = spawn(node ?? process.execPath, args, { cwd: '/', env, detached: true, stdio: 'ignore' })
    child.on('error', () => undefined)
    child.unref()
  } catch {
    // Another call starts it, or there can be none here.
  }
}

async function isYounger(file: string, ms: number): Promise<boolean> {
  const seen = await stat(file).catch(() => null)
  return seen !== null && Math.abs(Date.now() - seen.mtimeMs) < ms
}

async function touch(file: string): Promise<void> {
  await (await open(file, 'a', 0o600)).close()
  const now = new Date()
  await utimes(file, now, now)
}
