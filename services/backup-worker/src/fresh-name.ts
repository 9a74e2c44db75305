import { retentionUntil } from '@salvor/policy/retention'
import { stemOf } from '@salvor/repository/layout'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Deps, SourceSettings } from '@salvor/shared/ports/service'
import type { BackupType, RetentionClass } from '@salvor/shared/vocabulary/backup'
import { shifted } from '@salvor/shared/vocabulary/instant'

/** Names are to the second; an attempt that finds its name taken moves on by one. */
const NAMES_TRIED = 10

export interface FreshName {
  readonly backup_id: string
  readonly timestamp: string
  readonly filename_stem: string
  readonly retention_until: string | null
}

/** Does the work under a name that nobody has: STORE_CONFLICT moves on to the next. */
export async function underFreshName<T>(
  deps: Deps,
  source: SourceSettings,
  wish: { readonly type: BackupType; readonly retention_class: RetentionClass },
  work: (name: FreshName) => Promise<T>,
): Promise<T> {
  const began = deps.clock.now()
  for (let turn = 0; ; turn += 1) {
    const timestamp = shifted(began, turn * 1000)
    const retention_until = retentionUntil(source.retention, wish.retention_class, timestamp)
    try {
      const filename_stem = stemOf(wish.type, timestamp)
      return await work({ backup_id: deps.ids.next(), timestamp, filename_stem, retention_until })
    } catch (error) {
      const taken = error instanceof SalvorError && error.code === 'STORE_CONFLICT'
      if (!taken || turn + 1 === NAMES_TRIED) throw error
    }
  }
}
