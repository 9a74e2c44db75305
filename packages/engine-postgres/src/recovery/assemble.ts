import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { RecoveryWal } from '@salvor/shared/ports/engine'
import { lsnValue } from '@salvor/shared/vocabulary/lsn'
import { parseWalName } from '@salvor/shared/vocabulary/wal'

const OPEN = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW

/** One segment of its pieces: a whole one, or tails laid over each other with zeros behind them, at which replay ends. */
export async function assemble(
  pieces: readonly RecoveryWal[],
  path: string,
  onBytes: (count: number) => void = () => undefined,
): Promise<void> {
  const ordered = inOrder(pieces)
  const first = ordered[0]
  // What lies before the first piece is the backup's own: a segment without its beginning is read by no server.
  const flags = first && offsetOf(first) > 0 ? OPEN : OPEN | constants.O_TRUNC
  await using file = await open(path, flags, 0o600)
  for (const piece of ordered) await write(file, piece, onBytes)
  const size = pieces[0]?.segment_size ?? null
  if (size !== null) await file.truncate(size)
  await file.sync()
}

async function write(file: FileHandle, piece: RecoveryWal, onBytes: (count: number) => void): Promise<void> {
  let at = offsetOf(piece)
  for await (const chunk of piece.open()) {
    for (let from = 0; from < chunk.length;) {
      const { bytesWritten } = await file.write(chunk, from, chunk.length - from, at)
      from += bytesWritten
      at += bytesWritten
    }
    onBytes(chunk.length)
  }
}

function offsetOf({ start_lsn, segment_size }: RecoveryWal): number {
  return start_lsn === null || segment_size === null ? 0 : Number(lsnValue(start_lsn) % BigInt(segment_size))
}

function inOrder(pieces: readonly RecoveryWal[]): readonly RecoveryWal[] {
  const whole = pieces.find(({ name }) => parseWalName(name)?.kind !== 'tail')
  return whole ? [whole] : pieces.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
