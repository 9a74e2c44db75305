import type { SnapshotFacts } from '@salvor/shared/ports/engine'
import { writePatch } from './digests-patch.ts'

/** What an incremental's digests can be told by. */
export interface ParentDigests {
  /** `digests_sha256` of its manifest. */
  readonly sha256: string
  /** Whole, as the snapshot of the parent left them. */
  readonly file: string
}

/** The file that is stored as the digests of a backup: what its engine left, or a patch beside that. Null: it has none. */
export function digestsToStore(
  { digests, digests_alike }: Pick<SnapshotFacts, 'digests' | 'digests_alike'>,
  { parent, parent_digests }: { readonly parent: string | null; readonly parent_digests?: ParentDigests | undefined },
): string | null {
  if (!digests || !digests_alike || !parent_digests || parent === null) return digests ?? null
  const stands_on = { base: parent, base_sha256: parent_digests.sha256 }
  const file = `${digests}.patch`
  try {
    const isShort = writePatch(file, { own: digests, base: parent_digests.file, alike: digests_alike(), stands_on })
    return isShort ? file : digests
  } catch (error) {
    // There is no room for it: what it would have saved is stored instead.
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EDQUOT') return digests
    throw error
  }
}
