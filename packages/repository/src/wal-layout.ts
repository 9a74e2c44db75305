import type { ObjectKey } from '@salvor/shared/ports/store'
import { parseWalName } from '@salvor/shared/vocabulary/wal'

/** Names tried for the content of one piece when earlier attempts left theirs: objects are never overwritten. */
export const WAL_NAMES = 99

/** Begins the key of everything of a source's WAL. */
export function walPrefix(source: string): ObjectKey {
  return `${source}/wal/`
}

/** Key of the document that describes a piece; RangeError for a name that no piece has. */
export function walDocumentKey(source: string, name: string): ObjectKey {
  return `${folderOf(source, name)}${name}.json`
}

export function walContentKey(source: string, name: string, filename: string): ObjectKey {
  return `${folderOf(source, name)}${filename}`
}

/** Begins the keys of everything of one piece, whatever attempt left it, and of no other piece. */
export function walPiecePrefix(source: string, name: string): ObjectKey {
  return `${folderOf(source, name)}${name}.`
}

/** `<name>.zst.enc`, and `<name>.2.zst.enc` for the second attempt. */
export function walFilename(name: string, attempt: number, encrypted: boolean): string {
  return `${name}${attempt === 1 ? '' : `.${attempt}`}.zst${encrypted ? '.enc' : ''}`
}

export function walFilenameFits(filename: string, name: string, encrypted: boolean): boolean {
  if (filename === walFilename(name, 1, encrypted)) return true
  const attempt = Number(filename.slice(name.length + 1).match(/^[1-9]\d?(?=\.)/)?.[0])
  return attempt > 1 && filename === walFilename(name, attempt, encrypted)
}

/** Source and name of a document's key; null for the key of anything else. */
export function parseWalDocumentKey(key: ObjectKey): { readonly source: string; readonly name: string } | null {
  const [, source, timeline, name] = /^(.+)\/wal\/([0-9A-F]{8})\/([^/]+)\.json$/.exec(key) ?? []
  if (source === undefined || parseWalName(name!)?.timeline !== timeline) return null
  return { source, name: name! }
}

function folderOf(source: string, name: string): string {
  const parsed = parseWalName(name)
  if (!parsed) throw new RangeError(`no name of a piece of WAL: ${JSON.stringify(name.slice(0, 100))}`)
  return `${walPrefix(source)}${parsed.timeline}/`
}
