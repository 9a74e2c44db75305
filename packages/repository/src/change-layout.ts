import type { ObjectKey } from '@salvor/shared/ports/store'
import { isChangeSetName } from '@salvor/shared/vocabulary/change-set'

/** Names tried for the content of one set when earlier attempts left theirs: objects are never overwritten. */
export const CHANGE_NAMES = 99
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export interface ChangeSetPlace {
  readonly source: string
  /** Id of a backup. */
  readonly base: string
  readonly name: string
}

/** Key of the document that describes a change set; RangeError for a base or name that none has. */
export function changeDocumentKey(place: ChangeSetPlace): ObjectKey {
  return `${folderOf(place)}${place.name}.json`
}

export function changeContentKey(place: ChangeSetPlace, filename: string): ObjectKey {
  return `${folderOf(place)}${filename}`
}

/** What the keys of a set begin with: of its document, and of its content under each of its names. */
export function changeSetPrefix(place: ChangeSetPlace): string {
  return `${folderOf(place)}${place.name}.`
}

/** `<name>.zst.enc`, and `<name>.2.zst.enc` for the second attempt. */
export function changeFilename(name: string, attempt: number, encrypted: boolean): string {
  return `${name}${attempt === 1 ? '' : `.${attempt}`}.zst${encrypted ? '.enc' : ''}`
}

export function changeFilenameFits(filename: string, name: string, encrypted: boolean): boolean {
  return Array.from({ length: CHANGE_NAMES }, (_, i) => changeFilename(name, i + 1, encrypted)).includes(filename)
}

/** Where the change sets of a source lie. */
export function changesPrefix(source: string): string {
  return `${source}/changes/`
}

/** Null for the key of anything that is no document of a change set. */
export function parseChangeDocumentKey(key: ObjectKey): ChangeSetPlace | null {
  const [, source, base, name] = /^(.+)\/changes\/([^/]+)\/([^/]+)\.json$/.exec(key) ?? []
  if (source === undefined || !UUID.test(base!) || !isChangeSetName(name!)) return null
  return { source, base: base!, name: name! }
}

function folderOf({ source, base, name }: ChangeSetPlace): string {
  if (!UUID.test(base) || !isChangeSetName(name)) {
    throw new RangeError(`no name of a change set: ${JSON.stringify(`${base}/${name}`.slice(0, 100))}`)
  }
  return `${source}/changes/${base}/`
}
