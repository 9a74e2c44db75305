import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Store } from '@salvor/shared/ports/store'
import { StreamHash } from './hash.ts'
import { finishObject, putObject } from './put-object.ts'

export interface PieceToCopy {
  readonly source: string
  readonly content: Wanted
  readonly document: Wanted & { readonly bytes: Uint8Array }
}

/** Copies one object and then the document that describes it, as they are. What is there already is left; other bytes of that name are STORE_CONFLICT. */
export async function copyPiece(from: Store, to: Store, piece: PieceToCopy, signal: AbortSignal): Promise<void> {
  const { content, document, source } = piece
  if (!(await isThere(to, content, signal))) {
    const writer = await to.create(content.key, {}, signal)
    try {
      const hash = new StreamHash()
      for await (const chunk of from.read(content.key, null, signal)) {
        hash.update(chunk)
        await writer.write(chunk)
      }
      if (hash.bytes !== content.size || hash.hex() !== content.sha256) {
        const reason = 'its SHA-256 is not that of its document'
        throw new SalvorError('ARTIFACT_CORRUPT', { key: content.key, reason, source })
      }
      await finishObject(to, writer, content.size, content.sha256)
    } catch (error) {
      await writer.abort()
      throw error
    }
  }
  if (!(await isThere(to, document, signal))) await putObject(to, document.key, [document.bytes], signal)
}

interface Wanted {
  readonly key: string
  readonly size: number
  readonly sha256: string
}

/** An attempt before this one got so far. Objects are never overwritten: other bytes of that name are STORE_CONFLICT. */
async function isThere(store: Store, { key, size, sha256 }: Wanted, signal: AbortSignal): Promise<boolean> {
  const found = await store.head(key, signal)
  if (found === null) return false
  const hash = new StreamHash()
  if (found.size === size) for await (const chunk of store.read(key, null, signal)) hash.update(chunk)
  if (found.size !== size || hash.hex() !== sha256) throw new SalvorError('STORE_CONFLICT', { store: store.name, key })
  return true
}
