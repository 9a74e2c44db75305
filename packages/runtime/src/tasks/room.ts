import { statfs } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { RecoveryInput } from '@salvor/shared/ports/tasks'

/** What the engine writes beside the restored bytes: logs, journals, a server's own files. */
const EXTRA_BYTES = 64_000_000

/** Segments are whole files, whatever they hold. */
export function walBytes(recovery: RecoveryInput | undefined): number {
  return (recovery?.wal ?? []).reduce((sum, { segment_size }) => sum + (segment_size ?? 0), 0)
}

/** The sandbox often lies beside the catalog: a proof must not be what fills that disk. */
export async function assertRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < bytes + EXTRA_BYTES) throw new SalvorError('DISK_FULL', { what: `the sandbox ${folder}` })
}
