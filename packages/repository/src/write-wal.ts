import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { KeyRing } from '@salvor/shared/ports/keyring'
import type { Store } from '@salvor/shared/ports/store'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import type { WalFile, WalPiece } from '@salvor/shared/vocabulary/wal'
import { frameBytesFor, isSameContent, writeContent } from './piece-content.ts'
import { putObject } from './put-object.ts'
import { readWalDocument } from './read-wal.ts'
import { serializeWalDocument, type WalDocument, walFileOf } from './wal-document.ts'
import { WAL_NAMES, walContentKey, walDocumentKey, walFilename } from './wal-layout.ts'

const WAL_MAC = 'wal content'

export type UnfinishedWal = Map<string, WalDocument>

export interface WalRequest {
  readonly store: Store
  readonly keyring: KeyRing
  readonly encrypt: boolean
  /** Plain WAL may lie in a store that is not on this machine's disks. */
  readonly allowPlain: boolean
  readonly level: number
  readonly source: string
  readonly id: string
  readonly timestamp: Instant
  readonly tool_version: string
  readonly piece: WalPiece
  /** The plain bytes, from the beginning each time it is called. */
  readonly content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  /**
   * Documents by name whose content is stored while they are not: kept by the caller from one try to the next, so that a store that
   * refuses documents is not filled with content that nobody can open.
   */
  readonly unfinished?: UnfinishedWal
  /** For tests. */
  readonly frame_bytes?: number
}

/**
 * Stores one piece of WAL: content first, then its document. A piece of that name with the same content: its row, nothing
 * written. With other content: WAL_CONFLICT. Resolves only when both objects are durable and read back.
 */
export async function writeWal(request: WalRequest, signal: AbortSignal): Promise<WalFile> {
  const { store, encrypt, allowPlain, source, piece } = request
  if (!encrypt && store.capabilities.remote && !allowPlain) {
    throw new SalvorError('STORE_REFUSES_PLAIN', { store: store.name, source })
  }
  const begun = await unfinishedOf(request)
  for (let attempt = 1; attempt <= WAL_NAMES; attempt++) {
    const filename = walFilename(piece.name, attempt, encrypt)
    // The first name is nearly always free.
    if (attempt > 1 && (await store.head(walContentKey(source, piece.name, filename), signal))) continue
    try {
      const document = (attempt === 1 && begun) || (await writeDocumented(request, filename, signal))
      return await putDocument(request, document, signal)
    } catch (error) {
      if (!(error instanceof SalvorError) || error.code !== 'STORE_CONFLICT') throw error
      const there = await sameAsStored(request, signal)
      if (there) return there
    }
  }
  throw new SalvorError('STORE_CONFLICT', { store: store.name, key: walDocumentKey(source, piece.name) })
}

/** Without it there is no such piece. */
async function putDocument(request: WalRequest, document: WalDocument, signal: AbortSignal): Promise<WalFile> {
  const { store, keyring, source, unfinished } = request
  unfinished?.set(document.name, document)
  const bytes = serializeWalDocument(document, keyring)
  const sha = await putObject(store, walDocumentKey(source, document.name), [bytes], signal)
  unfinished?.delete(document.name)
  return walFileOf(document, sha)
}

/** The document of an earlier try with these very bytes. */
async function unfinishedOf(request: WalRequest): Promise<WalDocument | null> {
  const { unfinished, piece, keyring, source, content } = request
  const document = unfinished?.get(piece.name)
  if (!document) return null
  const stored = { content_mac: document.content_mac, signer: null }
  const same = await isSameContent(content, stored, { keyring, source, mac_purpose: WAL_MAC })
  return same === true && document.system_id === piece.system_id ? document : null
}

/** The row of what is stored under this name, if its content is the one at hand; null: nothing is. */
export async function sameAsStored(
  request: Pick<WalRequest, 'store' | 'keyring' | 'source' | 'piece' | 'content'>,
  signal: AbortSignal,
): Promise<WalFile | null> {
  const { store, keyring, source, piece } = request
  const found = await readWalDocument({ store, keyring, source, name: piece.name }, signal)
  if (found === null) return null
  const conflict = (why: string) =>
    new SalvorError('WAL_CONFLICT', { source, name: piece.name, store: store.name, why })
  if (found.body.system_id !== null && piece.system_id !== null && found.body.system_id !== piece.system_id)
    throw conflict('it is of another cluster (system identifier)')
  const stored = { content_mac: found.body.content_mac, signer: found.signature.signer }
  const same = await isSameContent(request.content, stored, { keyring, source, mac_purpose: WAL_MAC })
  if (same === null) throw conflict('it was signed by a key that this keyring lacks, so they cannot be compared')
  if (!same) throw conflict('their bytes differ')
  return walFileOf(found.body, found.sha256)
}

async function writeDocumented(request: WalRequest, filename: string, signal: AbortSignal): Promise<WalDocument> {
  const { source, piece, id, timestamp } = request
  const frame_bytes = request.frame_bytes ?? frameBytesFor(piece.segment_size ?? 0)
  const wish = { ...request, mac_purpose: WAL_MAC, frame_bytes }
  const content = await writeContent(wish, walContentKey(source, piece.name, filename), signal)
  return {
    format_version: 1,
    tool: { name: 'salvor', version: request.tool_version },
    id,
    source,
    ...piece,
    restore_points: [...piece.restore_points],
    timestamp,
    filename,
    ...content,
  }
}
