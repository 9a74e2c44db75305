import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { RecoveryWal } from '@salvor/shared/ports/engine'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { parseWalName } from '@salvor/shared/vocabulary/wal'

/** Segments fetched side by side: a store answers late, not slowly. */
const AT_ONCE = 4
const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW

/**
 * Writes the WAL of a recovery into `pg_wal`, where a server looks once its restore_command has nothing. Tails of one segment
 * are laid over each other; behind them are zeros, at which replay ends. Gives how many bytes came.
 */
export async function fetchWal(
  folder: string,
  wal: readonly RecoveryWal[],
  onBytes: (done: number) => void,
  signal: AbortSignal,
): Promise<number> {
  const files = Map.groupBy(wal, ({ name }) => fileOf(name))
  const queue = files.entries()
  let done = 0
  const work = async (): Promise<void> => {
    for (const [name, pieces] of queue) {
      signal.throwIfAborted()
      await using file = await open(join(folder, 'pg_wal', name), NEW, 0o600)
      for (const piece of inOrder(pieces)) {
        await write(file, piece, (count) => onBytes((done += count)))
      }
      const size = pieces[0]?.segment_size ?? null
      if (size !== null) await file.truncate(size)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return done
}

async function write(file: FileHandle, piece: RecoveryWal, onBytes: (count: number) => void): Promise<void> {
  const { start_lsn, segment_size } = piece
  let at = start_lsn === null || segment_size === null ? 0 : Number(lsnValue(start_lsn) % BigInt(segment_size))
  for await (const chunk of piece.open()) {
    for (let from = 0; from < chunk.length;) {
      const { bytesWritten } = await file.write(chunk, from, chunk.length - from, at)
      from += bytesWritten
      at += bytesWritten
    }
    onBytes(chunk.length)
  }
}

/** A whole segment covers its tails. */
function inOrder(pieces: readonly RecoveryWal[]): readonly RecoveryWal[] {
  const whole = pieces.find(({ name }) => parseWalName(name)?.kind !== 'tail')
  return whole ? [whole] : pieces.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** Name under which the server looks for it. RangeError for a name that no WAL has. */
function fileOf(name: string): string {
  const parsed = parseWalName(name)
  if (!parsed) throw new RangeError(`no name of a piece of WAL: ${JSON.stringify(name.slice(0, 100))}`)
  return parsed.segment ?? name
}
