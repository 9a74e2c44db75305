import { readdir, stat } from 'node:fs/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { LaidOver } from '@salvor/shared/ports/engine'
import { readControlFile } from '../data-folder/control-file.ts'
import { isStageName } from '../data-folder/put-in-place.ts'
import { assertLooksLikeData, assertStopped } from '../target.ts'
import { assertNotHeld, markIn } from './hold.ts'

/**
 * Whether there is a data folder that a backup can be laid over; false: there is nothing, or an empty folder. Refuses what is no data folder,
 * is in use, or belongs to another cluster: DELTA_REFUSED, TARGET_IN_USE. Writes nothing.
 */
export async function isFormerFolder(target: string, { delta, engine_facts }: LaidOver): Promise<boolean> {
  const found = await stat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw refused(target, `it cannot be looked at (${error.code})`, ELSEWHERE)
  })
  if (found === null) return false
  if (!found.isDirectory()) throw refused(target, 'it is not a folder', ELSEWHERE)
  const mark = await markIn(target)
  assertNotHeld(target, mark)
  if (mark === null && (await readdir(target)).every((name) => isStageName(name))) return false
  if (mark === null) {
    await assertLooksLikeData(target, (reason) =>
      refused(target, `it is not the data folder of a PostgreSQL server (${reason})`, ELSEWHERE),
    )
  }
  await assertStopped(target)
  if (delta === 'any') return true
  const { system_id: wanted } = engine_facts
  const own = mark?.system_id ?? (await readControlFile(target).catch(() => null))?.systemId ?? null
  if (own === null) throw refused(target, 'its global/pg_control does not tell to which cluster it belongs', ANY)
  if (own !== wanted)
    throw refused(target, `it is of another cluster (system identifier ${own}, the backup has ${String(wanted)})`, ANY)
  return true
}

const ELSEWHERE = 'name the data folder, or restore to a new place without --delta'
const ANY = 'pass --other-cluster too if that is the folder to be overwritten, or restore to a new place'

const refused = (target: string, reason: string, fix: string): SalvorError =>
  new SalvorError('DELTA_REFUSED', { target, reason, fix })
