import type { ObjectKey, StoredObject } from '@salvor/shared/ports/store'

/** Objects that begin a backup which has no manifest: nothing that reads backups can see them. */
export interface BrokenOff {
  /** `<source>/<stem>`: begins each key. */
  readonly at: string
  readonly source: string
  readonly objects: readonly StoredObject[]
}

interface Group extends BrokenOff {
  readonly objects: StoredObject[]
  whole: boolean
}

const OF_A_BACKUP = /^((.+)\/(?:backup_full|backup_incremental|pre_restore_backup)_\d{8}_\d{6})\.[^/]+$/

/**
 * From the objects of a store, ascending by key, those of backups without a manifest. Objects of other kinds (claims, WAL,
 * foreign ones) are passed over. The manifest is the last to be written, so an attempt at work looks the same: the caller
 * must know that none is.
 */
export async function* brokenOff(objects: AsyncIterable<StoredObject>): AsyncGenerator<BrokenOff> {
  let group = null as Group | null
  for await (const object of objects) {
    const [, at, source] = OF_A_BACKUP.exec(object.key) ?? []
    if (at === undefined || source === undefined) continue
    if (group?.at !== at) {
      if (group !== null && !group.whole) yield group
      group = { at, source, objects: [], whole: false }
    }
    group.objects.push(object)
    group.whole ||= object.key === manifestAt(at)
  }
  if (group !== null && !group.whole) yield group
}

export function manifestAt(at: string): ObjectKey {
  return `${at}.manifest.json`
}
