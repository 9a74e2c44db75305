import { readdir, readFile, stat } from 'node:fs/promises'

export const SIDECARS = ['-wal', '-shm', '-journal'] as const

/** Programs that have the database or one of the files beside it open, as `pid 123 (name)`. Empty where there is no /proc. */
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
  return holders.length > 0 ? holders : lockedBy(wanted)
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

/** Locks are visible to everybody, also those of other users' programs: WAL mode keeps one as long as it is open. */
async function lockedBy(wanted: ReadonlySet<string>): Promise<string[]> {
  const lines = (await readFile('/proc/locks', 'utf8').catch(() => '')).split('\n')
  const holders = new Set<string>()
  for (const line of lines) {
    const found = / (\d+|-1) ([0-9a-f]+):([0-9a-f]+):(\d+) /.exec(line)
    if (!found) continue
    const [, pid = '', major = '', minor = '', inode = ''] = found
    const device = deviceNumber(BigInt(`0x${major}`), BigInt(`0x${minor}`))
    if (wanted.has(`${device}:${inode}`)) holders.add(`pid ${pid} (${await nameOf(pid)})`)
  }
  return [...holders]
}

/** As stat gives it: Linux spreads both numbers over the word. */
function deviceNumber(major: bigint, minor: bigint): bigint {
  return ((major & 0xfffff000n) << 32n) | ((major & 0xfffn) << 8n) | ((minor & 0xffffff00n) << 12n) | (minor & 0xffn)
}

async function nameOf(pid: string): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'unknown')).trim()
}
