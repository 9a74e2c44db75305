import { setTimeout as pause } from 'node:timers/promises'
import { asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { ChangeSink } from '@salvor/shared/ports/changes'
import type { ParentBackup } from '@salvor/shared/ports/engine'

const BASE_LOOK_MS = 5_000

/** Waits for a backup on which a line can begin: another one than was refused. */
export async function newBase(sink: ChangeSink, refused: string | null, signal: AbortSignal): Promise<ParentBackup> {
  for (;;) {
    const base = await sink.base().catch((thrown: unknown) => {
      const error = asSalvorError(thrown)
      if (!error.retryable) throw error
      return null
    })
    if (base !== null && base.id !== refused) return base
    await pause(BASE_LOOK_MS, undefined, { signal })
  }
}
