import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { lsnValue, type Lsn } from '@salvor/shared/vocabulary/lsn'
import { parseWalName } from '@salvor/shared/vocabulary/wal'
import { readWal, readWalDocument, type WalAddress } from './read-wal.ts'
import { parseWalDocumentKey, walPiecePrefix } from './wal-layout.ts'

export interface WalWanted extends WalAddress {
  readonly start_lsn: Lsn | null
  /** From the catalog. */
  readonly document_sha256: string
}

/**
 * As `readWal`. A tail that is gone since it was looked up, because a longer piece holds its bytes, is read from that piece: a restore
 * may take hours, and the stream goes on.
 */
export async function* readReplacedWal(wanted: WalWanted, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let begun = false
  try {
    for await (const chunk of readWal(wanted, signal, { document_sha256: wanted.document_sha256 })) {
      begun = true
      yield chunk
    }
  } catch (error) {
    const isGone = error instanceof SalvorError && error.code === 'STORE_NOT_FOUND'
    if (begun || !isGone) throw error
    const longer = await pieceAround(wanted, signal)
    if (longer === null) throw error
    yield* partOf(longer, wanted, signal)
  }
}

interface Longer {
  readonly name: string
  /** Bytes of it before those that are wanted, and how many are. */
  readonly before: number
  readonly length: number
}

async function pieceAround(
  { store, keyring, source, name, start_lsn }: WalWanted,
  signal: AbortSignal,
): Promise<Longer | null> {
  const parsed = parseWalName(name)
  if (parsed?.kind !== 'tail' || parsed.segment === null || start_lsn === null) return null
  const [start, end] = [lsnValue(start_lsn), BigInt(`0x${parsed.end}`)]
  for await (const { key } of store.list(walPiecePrefix(source, parsed.segment), signal)) {
    const named = parseWalDocumentKey(key)
    if (named === null) continue
    const found = await readWalDocument({ store, keyring, ...named }, signal)
    const { kind = null, start_lsn: from = null, end_lsn: to = null } = found?.body ?? {}
    if ((kind !== 'segment' && kind !== 'tail') || from === null || to === null) continue
    if (lsnValue(from) <= start && lsnValue(to) >= end)
      return { name: named.name, before: Number(start - lsnValue(from)), length: Number(end - start) }
  }
  return null
}

async function* partOf(
  { name, before, length }: Longer,
  { store, keyring, source }: WalAddress,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let at = 0
  for await (const chunk of readWal({ store, keyring, source, name }, signal)) {
    const part = chunk.subarray(Math.max(0, before - at), Math.max(0, before + length - at))
    at += chunk.length
    // Read to its end: only then are tag and checksum compared.
    if (part.length > 0) yield part
  }
}
