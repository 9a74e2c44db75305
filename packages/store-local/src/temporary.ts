import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, readdir, readFile, readlink, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from './place.ts'

/** `.tmp-<where>-<pid>-<start>-<random>`: where = boot and pid namespace, start = the process's start in the kernel's ticks. */
const NAME = /^\.tmp-([0-9a-f]{12}|other)-(\d+)-(\d+)-[0-9a-f]{16}$/
const DAY_MS = 86_400_000

interface Self {
  readonly where: string
  readonly pid: number
  readonly start: string
}

let self: Promise<Self> | null = null

async function identity(): Promise<Self> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1')
    const namespace = await readlink('/proc/self/ns/pid')
    const where = createHash('sha256')
      .update(boot + namespace)
      .digest('hex')
      .slice(0, 12)
    return { where, pid: process.pid, start: await startOf('self') }
  } catch {
    return { where: 'other', pid: process.pid, start: '0' }
  }
}

/** Field 22 of /proc/<pid>/stat, counted from behind the program's name, which may hold anything. */
async function startOf(pid: string): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0'
}

/** A new file of mode 0600 that nobody lists or reads. */
export async function openTemporary(root: string): Promise<{ readonly path: string; readonly handle: FileHandle }> {
  const { where, pid, start } = await (self ??= identity())
  const path = join(root, `.tmp-${where}-${pid}-${start}-${randomBytes(8).toString('hex')}`)
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
  return { path, handle: await open(path, flags, 0o600) }
}

/** A leftover of a writer who is gone, and how long it was not written to. */
export interface Temporary {
  readonly name: string
  readonly age_ms: number
}

/** Temporary files that no living process of this machine holds, with their age by the file system's own clock (`nowMs`). */
export async function abandoned(root: string, nowMs: number): Promise<Temporary[]> {
  const mine = await (self ??= identity())
  const found: Temporary[] = []
  for (const name of await readdir(root)) {
    const parts = NAME.exec(name)
    if (parts === null) continue
    const here = parts[1] === mine.where && mine.where !== 'other'
    if (here && (await isAlive(parts[2]!, parts[3]!))) continue
    try {
      found.push({ name, age_ms: Math.max(0, nowMs - (await lstat(join(root, name))).mtimeMs) })
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
  return found
}

/** A name that is no temporary file's removes nothing. */
export async function removeTemporary(root: string, name: string): Promise<void> {
  if (!NAME.test(name)) return
  await unlink(join(root, name)).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error
  })
}

/** The file system's clock in milliseconds: the time of a file just made. */
export async function clockOf(root: string): Promise<number> {
  const { path, handle } = await openTemporary(root)
  try {
    return (await handle.stat()).mtimeMs
  } finally {
    await handle.close()
    await unlink(path)
  }
}

/**
 * Removes what writers left who are gone: dead here, or elsewhere and silent for a day by the file system's own clock
 * (`nowMs`: the time of a file just made).
 */
export async function sweepTemporary(root: string, nowMs: number): Promise<void> {
  const mine = await (self ??= identity())
  for (const name of await readdir(root)) {
    const parts = NAME.exec(name)
    if (parts === null) continue
    const path = join(root, name)
    try {
      const left =
        parts[1] === mine.where && mine.where !== 'other'
          ? !(await isAlive(parts[2]!, parts[3]!))
          : nowMs - (await lstat(path)).mtimeMs > DAY_MS
      if (left) await unlink(path)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
    }
  }
}

async function isAlive(pid: string, start: string): Promise<boolean> {
  return startOf(pid).then(
    (found) => found === start,
    (error: unknown) => errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ESRCH',
  )
}
