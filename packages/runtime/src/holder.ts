import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Holder } from '@salvor/shared/ports/catalog'

/** The process-id namespace that a machine starts with; any other one belongs to a container. */
const FIRST_NAMESPACE = 'pid:[4026531836]'

/** This process as a holder of leases. */
export function thisHolder(service: string): Holder {
  const place = thisPlace()
  return { service, ...place, pid: process.pid, start_time: startTime(process.pid) ?? 'unknown' }
}

/**
 * Whether the process that holds something still runs. Null: nobody here can know (another machine, another container).
 * A pid that was given to a new process, a zombie, and a machine that has started anew since are all dead.
 */
export function holderAlive(holder: Pick<Holder, 'host' | 'boot_id' | 'pid' | 'start_time'>): boolean | null {
  const here = thisPlace()
  // Machines that never got a name of their own cannot be told apart.
  if (holder.host !== here.host || /^localhost(\.|$)/.test(holder.host)) {
    return holder.host === here.host && holder.boot_id === here.boot_id ? runs(holder) : null
  }
  if (holder.boot_id === 'unknown' || here.boot_id === 'unknown') return null
  return holder.boot_id === here.boot_id && runs(holder)
}

function runs(holder: Pick<Holder, 'pid' | 'start_time'>): boolean {
  const found = startTime(holder.pid)
  return found !== null && (holder.start_time === 'unknown' || found === holder.start_time)
}

let place: { readonly host: string; readonly boot_id: string } | null = null

function thisPlace(): { readonly host: string; readonly boot_id: string } {
  place ??= { host: `${hostname()}${namespace()}`, boot_id: bootId() }
  return place
}

/** Two containers may share the machine's name, yet neither sees the processes of the other. */
function namespace(): string {
  try {
    const own = readlinkSync('/proc/self/ns/pid')
    return own === FIRST_NAMESPACE ? '' : `#${own.replace(/\D/g, '')}`
  } catch {
    return ''
  }
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return said('sysctl', ['-n', 'kern.bootsessionuuid']) ?? 'unknown'
  }
}

/** When a process began, as the kernel counts it; null: no such process, or only its remains. */
function startTime(pid: number): string | null {
  if (process.platform !== 'linux') return said('ps', ['-o', 'lstart=', '-p', String(pid)])
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name may hold spaces and brackets: what counts stands behind its last bracket. State is field 3, start 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}

function said(program: string, words: readonly string[]): string | null {
  try {
    const text = execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    return text === '' ? null : text
  } catch {
    return null
  }
}
