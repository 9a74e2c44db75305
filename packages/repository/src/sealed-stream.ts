import type { CipherGCM, DecipherGCM } from 'node:crypto'
import { IV_BYTES, TAG_BYTES } from './encrypt.ts'

/** One GCM message as `IV || ciphertext || tag`. */
export async function* sealed(
  plain: AsyncIterable<Uint8Array>,
  cipher: CipherGCM,
  iv: Uint8Array,
): AsyncGenerator<Uint8Array> {
  yield iv
  for await (const chunk of plain) yield cipher.update(chunk)
  cipher.final()
  yield cipher.getAuthTag()
}

/** The plain bytes of a sealed stream. They count only once it has ended: the tag comes last, and a bad one throws. */
export async function* unsealed(
  stored: AsyncIterable<Uint8Array>,
  open: (iv: Uint8Array) => DecipherGCM,
): AsyncGenerator<Uint8Array> {
  let decipher: DecipherGCM | null = null
  let held = Buffer.alloc(0)
  for await (const chunk of stored) {
    held = Buffer.concat([held, chunk])
    if (!decipher) {
      if (held.length < IV_BYTES) continue
      decipher = open(held.subarray(0, IV_BYTES))
      held = held.subarray(IV_BYTES)
    }
    if (held.length <= TAG_BYTES) continue
    yield decipher.update(held.subarray(0, held.length - TAG_BYTES))
    held = held.subarray(held.length - TAG_BYTES)
  }
  if (!decipher || held.length !== TAG_BYTES) throw new RangeError('a sealed stream that ends too early')
  decipher.setAuthTag(held)
  decipher.final()
}
