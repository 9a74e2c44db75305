import { stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'

const LOOK_EVERY_MS = 200

export interface WalWatch extends Disposable {
  /** Rejects when the log has grown by more than the limit; never resolves. */
  readonly exceeded: Promise<never>
  /** Bytes by which the log has grown on disk since the watch began. */
  grown(): Promise<number>
}

/** While frames are held, a write-ahead log can only grow: the application's disk is not filled for a backup. */
export async function watchWal(path: string, limitBytes: number, source: string): Promise<WalWatch> {
  const log = `${path}-wal`
  const sizeNow = async (): Promise<number> => (await stat(log).catch(() => null))?.size ?? 0
  const [before, disk] = await Promise.all([sizeNow(), statfs(dirname(path))])
  const limit = Math.min(limitBytes, (disk.bavail * disk.bsize) / 2)
  const exceeded = Promise.withResolvers<never>()
  exceeded.promise.catch(() => undefined)
  let grown = 0
  const look = async (): Promise<void> => {
    grown = Math.max(grown, (await sizeNow()) - before)
    if (grown > limit) exceeded.reject(limitError(source, grown, limit))
  }
  const timer = setInterval(() => void look(), LOOK_EVERY_MS)
  return {
    exceeded: exceeded.promise,
    async grown() {
      await look()
      return grown
    },
    [Symbol.dispose]: () => clearInterval(timer),
  }
}

export function limitError(source: string, grown: number, limit: number): SalvorError {
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`
  return new SalvorError('SOURCE_LOG_GREW', { source, grown: megabytes(grown), limit: megabytes(limit) })
}
