import { realpath, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EngineContext } from '@salvor/shared/ports/engine'
import { shifted, type Instant } from '@salvor/shared/vocabulary/instant'
import type { Ticks } from './child/messages.ts'
import type { Limits } from './config.ts'

/** One database of the configuration, and what a run over it may use. */
export interface Site {
  readonly path: string
  readonly context: EngineContext
  readonly limits: Limits
}

/** NFS, SMB and CIFS: the memory that processes share beside a write-ahead log does not work across machines. */
const NETWORK_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42])

export interface Found {
  /** With symbolic links followed: the log's name is derived from it. */
  readonly path: string
  readonly size: number
  readonly network: boolean
  readonly notices: readonly string[]
}

/** Finds the file without opening it. */
export async function findDatabase(site: Site): Promise<Found> {
  const { source } = site.context
  try {
    const path = await realpath(site.path)
    const [seen, disk] = await Promise.all([stat(path), statfs(dirname(path))])
    if (!seen.isFile()) {
      const reason = seen.isDirectory() ? 'it is a folder' : 'it is not a file'
      throw new SalvorError('SOURCE_UNREADABLE', { source, what: site.path, reason })
    }
    const linked = `${path} has ${seen.nlink} names (hard links): programs that open it by another name damage it`
    return {
      path,
      size: seen.size,
      network: NETWORK_FILE_SYSTEMS.has(disk.type),
      notices: seen.nlink > 1 ? [linked] : [],
    }
  } catch (error) {
    if (error instanceof SalvorError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new SalvorError('SOURCE_MISSING', { source, what: site.path }, error)
    }
    throw new SalvorError('SOURCE_UNREADABLE', { source, what: site.path, reason: code }, error)
  }
}

/** SQLite itself does not support write-ahead logs there. */
export function assertLocalDisk(found: Found, wal: boolean, source: string): void {
  if (!found.network || !wal) return
  throw new SalvorError('SOURCE_UNSUPPORTED', {
    source,
    what: `${found.path} is in WAL mode on a network file system`,
    fix: 'run Salvor on the machine that has the disk',
  })
}

/** Wall time of a moment that another process of this machine read off the monotonic clock, to the microsecond. */
export function instantOfTicks(at: Ticks, now: () => Instant): Instant {
  return shifted(now(), -Number(process.hrtime.bigint() - at) / 1e6)
}
