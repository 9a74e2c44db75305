import { readFile, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Where container engines mount secrets; /var/run is a link to /run. */
const SECRETS = '/run/secrets'

export interface FileRights {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export interface User {
  readonly uid: number
  readonly groups: readonly number[]
}

/**
 * True for a file that this user alone may use; and, as PostgreSQL has it for its keys, for one that root gives to a group
 * of another user's process (`chown root:salvor`, 0640; Kubernetes' fsGroup with defaultMode 0440).
 */
export function isPrivate({ mode, uid, gid }: FileRights, user: User = thisUser()): boolean {
  if ((mode & 0o077) === 0) return true
  return uid === 0 && user.uid !== 0 && (mode & 0o037) === 0 && user.groups.includes(gid)
}

/**
 * True for a file on a read-only mount at or below /run/secrets. Container engines put secrets there, readable for all in
 * the container (0444) but in a mount that nobody outside it sees. A plain folder of that name is none.
 */
export async function onSecretMount(file: string): Promise<boolean> {
  try {
    const mounts = await readFile('/proc/self/mountinfo', 'utf8')
    // A folder of a mount may be a link too: Kubernetes swaps `..data` when a secret changes.
    return isSecretMount(mounts, await realpath(file))
  } catch {
    return false
  }
}

/** `path` has no links in it. Lines: id parent device root mount-point options … - type device options. */
export function isSecretMount(mountinfo: string, path: string): boolean {
  const readOnly = new Map<string, boolean>()
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , , place, options = ''] = before.split(' ')
    if (place === undefined) continue
    const all = [...options.split(','), ...(after.split(' ')[2] ?? '').split(',')]
    // A later line lies over an earlier one at the same place.
    readOnly.set(unescaped(place), all.includes('ro'))
  }
  for (let place = path; place === SECRETS || place.startsWith(`${SECRETS}/`); place = dirname(place)) {
    const found = readOnly.get(place)
    if (found !== undefined) return found
  }
  return false
}

/** The kernel writes space, tab, newline and backslash as \040 … */
function unescaped(place: string): string {
  return place.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)))
}

function thisUser(): User {
  return {
    uid: process.geteuid?.() ?? 0,
    groups: [...(process.getgroups?.() ?? []), process.getegid?.() ?? -1],
  }
}
