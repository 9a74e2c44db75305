import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import {
  changeSetName,
  type ChangePiece,
  type ChangeSetFile,
  type CompactedPiece,
} from '@salvor/shared/vocabulary/change-set'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { type ChangeDocument, changeSetFileOf, serializeChangeDocument } from './change-document.ts'
import { CHANGE_NAMES, changeContentKey, changeDocumentKey, changeFilename } from './change-layout.ts'
import { frameBytesFor, isSameContent, writeContent } from './piece-content.ts'
import { putObject } from './put-object.ts'
import { readChangeDocument } from './read-changes.ts'

const CHANGES_MAC = 'change set content'

export interface ChangesRequest {
  readonly store: Store
  readonly keyring: KeyRing
  readonly encrypt: boolean
  /** Plain pages may lie in a store that is not on this machine's disks. */
  readonly allowPlain: boolean
  readonly level: number
  readonly source: string
  readonly id: string
  readonly timestamp: Instant
  readonly tool_version: string
  readonly piece: ChangePiece | CompactedPiece
  /** The plain bytes (docs/format.md section 12), from the beginning each time it is called. */
  readonly content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  /**
   * Documents by name whose content is stored while they are not: kept by the caller from one try to the next, so that a store that
   * refuses documents is not filled with content that nobody can open.
   */
  readonly unfinished?: Map<string, ChangeDocument>
}

/**
 * Stores one change set: content first, then its document. A set of that name with the same content: its row, nothing written.
 * Resolves only when both objects are durable and read back. STORE_CONFLICT: another set of that name is there.
 */
export async function writeChanges(request: ChangesRequest, signal: AbortSignal): Promise<ChangeSetFile> {
  const { store, keyring, encrypt, allowPlain, source, piece, id } = request
  if (!encrypt && store.capabilities.remote && !allowPlain) {
    throw new SalvorError('STORE_REFUSES_PLAIN', { store: store.name, source })
  }
  const name = changeSetName(piece)
  const place = { source, base: piece.base, name }
  const wish = { ...request, mac_purpose: CHANGES_MAC, frame_bytes: frameBytesFor(piece.pages * piece.page_size) }
  const begun = await unfinishedOf(request, name)
  for (let attempt = 1; attempt <= CHANGE_NAMES; attempt++) {
    const filename = changeFilename(name, attempt, encrypt)
    try {
      const document = (attempt === 1 && begun) || (await described(filename))
      request.unfinished?.set(name, document)
      const bytes = serializeChangeDocument(document, keyring)
      const sha = await putObject(store, changeDocumentKey(place), [bytes], signal)
      request.unfinished?.delete(name)
      return changeSetFileOf(document, sha)
    } catch (error) {
      if (!(error instanceof SalvorError) || error.code !== 'STORE_CONFLICT') throw error
      const there = await sameAsStored(request, name, signal)
      if (there) return there
    }
  }
  throw new SalvorError('STORE_CONFLICT', { store: store.name, key: changeDocumentKey(place) })

  async function described(filename: string): Promise<ChangeDocument> {
    const content = await writeContent(wish, changeContentKey(place, filename), signal)
    const tool = { name: 'salvor', version: request.tool_version }
    return { format_version: 1, tool, id, source, ...piece, name, timestamp: request.timestamp, filename, ...content }
  }
}

/** The document of an earlier try with these very bytes. */
async function unfinishedOf(
  { unfinished, keyring, source, content, piece }: ChangesRequest,
  name: string,
): Promise<ChangeDocument | null> {
  const document = unfinished?.get(name)
  if (document?.base !== piece.base || document.previous !== piece.previous) return null
  const stored = { content_mac: document.content_mac, signer: null }
  return (await isSameContent(content, stored, { keyring, source, mac_purpose: CHANGES_MAC })) ? document : null
}

/** The row of what is stored under this name, if its content is the one at hand; null: nothing is. */
async function sameAsStored(
  { store, keyring, source, piece, content }: ChangesRequest,
  name: string,
  signal: AbortSignal,
): Promise<ChangeSetFile | null> {
  const place = { source, base: piece.base, name }
  const found = await readChangeDocument({ store, keyring, ...place }, signal)
  if (found === null) return null
  const stored = { content_mac: found.body.content_mac, signer: found.signed_by }
  if (await isSameContent(content, stored, { keyring, source, mac_purpose: CHANGES_MAC })) {
    return changeSetFileOf(found.body, found.sha256)
  }
  throw new SalvorError('STORE_CONFLICT', { store: store.name, key: changeDocumentKey(place) })
}
