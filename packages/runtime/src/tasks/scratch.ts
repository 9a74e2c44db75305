import { createHash, randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '@salvor/shared/ports/log'
import { holderAlive, thisHolder } from '../holder.ts'
import { removeTree } from './remove-tree.ts'

const BEAT_MS = 60_000
/** A folder whose owner cannot be asked is left over when nobody touched it for so long. */
const SILENT_MS = 60 * BEAT_MS

export interface Scratch extends AsyncDisposable {
  readonly path: string
}

/** A new private folder, removed with all its content at the end of the block. Its name says whose it is. */
export async function makeScratch(sandboxDir: string, log: Log): Promise<Scratch> {
  await mkdir(sandboxDir, { recursive: true, mode: 0o700 })
  const me = thisHolder('')
  const owner = ['task', mark(me.host), mark(me.boot_id), me.pid, me.start_time.replace(/\W/g, '')]
  const path = join(sandboxDir, [...owner, randomBytes(6).toString('hex')].join('.'))
  await mkdir(path, { mode: 0o700 })
  const beat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => {})
  }, BEAT_MS).unref()
  return {
    path,
    async [Symbol.asyncDispose]() {
      clearInterval(beat)
      await discard(path, log)
    },
  }
}

/** Removes what processes that are gone left in the sandbox. Safe beside running ones; gives how many went. */
export async function emptySandbox(sandboxDir: string, log: Log): Promise<number> {
  const names = await readdir(sandboxDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') log.warn({ sandbox_dir: sandboxDir, error }, 'the sandbox cannot be read')
    return []
  })
  let removed = 0
  for (const name of names) {
    const path = join(sandboxDir, name)
    if ((await isLeftOver(name, path)) && (await discard(path, log))) removed += 1
  }
  return removed
}

async function isLeftOver(name: string, path: string): Promise<boolean> {
  const parts = /^task\.([0-9a-f]{8})\.([0-9a-f]{8})\.(\d+)\.(\w+)\.[0-9a-f]{12}$/.exec(name)
  if (!parts) return false
  const me = thisHolder('')
  const [, host, boot, pid, start_time] = parts as unknown as [string, string, string, string, string]
  const alive = holderAlive({
    host: host === mark(me.host) ? me.host : 'another host',
    boot_id: boot === mark(me.boot_id) ? me.boot_id : 'another boot',
    pid: Number(pid),
    start_time,
  })
  return alive === null ? await isSilent(path) : !alive
}

async function isSilent(path: string): Promise<boolean> {
  const seen = await lstat(path).catch(() => null)
  return seen !== null && Date.now() - seen.mtimeMs > SILENT_MS
}

async function discard(path: string, log: Log): Promise<boolean> {
  try {
    await removeTree(path)
    return true
  } catch (error) {
    log.warn({ path, error }, 'a scratch folder could not be removed')
    return false
  }
}

function mark(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}
