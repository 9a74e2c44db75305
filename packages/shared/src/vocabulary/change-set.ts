import type { Instant } from './instant.ts'

/**
 * How the pages of a change set were found. log: read from the write-ahead log, every commit between the two instants ·
 * scan: every page that differs from what it stands on.
 */
export const CHANGE_METHODS = ['log', 'scan'] as const
export type ChangeMethod = (typeof CHANGE_METHODS)[number]

/** What its pages are laid over: the state of the set before it, or that of its base. */
export const STANDS_ON = ['previous', 'base'] as const

/** The pages of a SQLite database that changed between two instants, before they are stored. */
export interface ChangePiece {
  /** Id of the backup on which its line began: on whose state its first set stands. */
  readonly base: string
  readonly method: ChangeMethod
  readonly stands_on: (typeof STANDS_ON)[number]
  /** SHA-256 of the document of the set before it; null: it is the first that this source has, or the one before is not known. */
  readonly previous: string | null
  /** Why no instant between the set before it and this one comes back; null: each does, as the state that the set before it left. */
  readonly lost: string | null
  /** Everything committed until here was in the state before. */
  readonly from_at: Instant
  /** Everything committed until here, and nothing else, is in the state that this set brings. */
  readonly to_at: Instant
  readonly page_size: number
  /** Of the database at `to_at`. */
  readonly page_count: number
  /** In this set. */
  readonly pages: number
  /** Digest of the whole state (docs/format.md section 15), where it is known. */
  readonly state_sha256: string | null
  /** Where the log was read up to, in the engine's own words, at most 200 characters; null: not in a log. */
  readonly position: string | null
}

export interface ChangeSetFile extends ChangePiece {
  readonly source: string
  readonly name: string
  readonly size_bytes: number
  readonly source_bytes: number
  /** SHA-256 of the signed document that describes it. */
  readonly document_sha256: string
  /** Of a compacted set: SHA-256 of the document of the set that brought its state first, the last of those it was made of. Null: of none. */
  readonly brings_state_of: string | null
  readonly stored_at: Instant
}

/** A set that is made of several that followed each other. */
export type CompactedPiece = ChangePiece & { readonly brings_state_of: string }

/** A change set in one store. */
export interface StoredChangeSet extends ChangeSetFile {
  readonly store: string
  /** Since when it is to be deleted there; null: it is not. */
  readonly leaving_at: Instant | null
}

/** Sets of one source in one store. */
export interface ChangeSetNames {
  readonly source: string
  readonly store: string
  readonly names: readonly { readonly base: string; readonly name: string }[]
}

/** How the change stream of a source was doing when it last said so. */
export interface ChangeStreamState {
  readonly source: string
  /** log: frame by frame · scan: a look at every page where the file changed (rollback journal). Null: not known yet. */
  readonly method: ChangeMethod | null
  /** Everything committed until then is in a store. Null: not known. */
  readonly covered_until: Instant | null
  /** The set that holds it, by its document; null: none is stored. */
  readonly last_set: string | null
  /** Bytes of the write-ahead log that readers keep from being reset. */
  readonly log_bytes: number
  /** Why nothing is stored at the moment; null: it is. */
  readonly trouble: string | null
  readonly at: Instant
}

/** Characters of an instant in a name. */
const SHORT = 22
const NAME = /^\d{8}T\d{12}Z-\d{8}T\d{12}Z(-compacted)?$/

/**
 * `20251127T203930294774Z-20251127T203931294774Z`, and `-compacted` behind it where it was made of others. Two sets of one source never
 * end at the same microsecond.
 */
export function changeSetName({
  from_at,
  to_at,
  brings_state_of,
}: Pick<ChangePiece, 'from_at' | 'to_at'> & { readonly brings_state_of?: string | null | undefined }): string {
  const short = (at: Instant): string => at.replaceAll(/[-:.]/g, '')
  return `${short(from_at)}-${short(to_at)}${brings_state_of ? '-compacted' : ''}`
}

/** The instants that the name of a set tells. RangeError: it is none. */
export function spanOfName(name: string): Pick<ChangePiece, 'from_at' | 'to_at'> {
  if (!isChangeSetName(name)) throw new RangeError(`no name of a change set: ${JSON.stringify(name.slice(0, 100))}`)
  const [from_at, to_at] = [name.slice(0, SHORT), name.slice(SHORT + 1, 2 * SHORT + 1)].map((short) =>
    short.replace(/^(....)(..)(..)T(..)(..)(..)(......)Z$/, '$1-$2-$3T$4:$5:$6.$7Z'),
  )
  return { from_at: from_at!, to_at: to_at! }
}

/** Names the state that a set brings, whichever sets it comes back by: what `previous` of the next one says. */
export function stateOf({
  brings_state_of,
  document_sha256,
}: Pick<ChangeSetFile, 'brings_state_of' | 'document_sha256'>): string {
  return brings_state_of ?? document_sha256
}

/** Names come from stores. */
export function isChangeSetName(name: string): boolean {
  return NAME.test(name)
}
