import { join } from 'node:path'
import type { RecoveryWal } from '@salvor/shared/ports/engine'
import { parseWalName } from '@salvor/shared/vocabulary/wal'
import { assemble } from './assemble.ts'

/** Segments fetched side by side: a store answers late, not slowly. */
const AT_ONCE = 4

/**
 * Writes the WAL of a recovery into `pg_wal`, where a server looks once its restore_command has nothing. Gives how many bytes
 * came.
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
      await assemble(pieces, join(folder, 'pg_wal', name), (count) => onBytes((done += count)))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return done
}

/** Name under which the server looks for it. RangeError for a name that no WAL has. */
function fileOf(name: string): string {
  const parsed = parseWalName(name)
  if (!parsed) throw new RangeError(`no name of a piece of WAL: ${JSON.stringify(name.slice(0, 100))}`)
  return parsed.segment ?? name
}
