import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { EXIT } from '@salvor/shared/errors/exit-codes'
import { openForCommand, type GlobalOptions } from '../context.ts'
import { done, type Answer } from '../output.ts'
import { helperPlace, ownFolder } from '../wal/helper-place.ts'
import { isServed, removeDead, WalHelper } from '../wal/serve-helper.ts'

/** `salvor wal helper`, which `wal push` and `wal get` start: answers their next calls, and ends by itself. */
export async function walHelper(options: GlobalOptions, signal: AbortSignal): Promise<Answer> {
  const place = helperPlace(resolve(options.config))
  const started = (): Promise<void> => rm(place.starting, { force: true })
  try {
    if (!(await ownFolder(place.folder)) || (await isServed(place))) return done({}, [], EXIT.done)
    await removeDead(place)
    await using runtime = await openForCommand(options)
    await new WalHelper(runtime, place, signal).serve(started)
    return done({}, [], EXIT.done)
  } finally {
    await started()
  }
}
