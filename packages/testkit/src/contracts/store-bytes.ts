import { createCipheriv, createHash } from 'node:crypto'
import type { ObjectWriter, Store, StoredObject } from '@salvor/shared/ports/store'

export const MiB = 1024 * 1024
/** A signal that nobody pulls. */
export const never: AbortSignal = new AbortController().signal

/** Bytes that look random and are the same for the same seed. */
export function bytes(size: number, seed = 1): Buffer {
  const key = createHash('sha256').update(`bytes ${seed}`).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}

export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** Writes in chunks of uneven sizes through one buffer, which is spoilt as soon as `write` resolves. */
export async function feed(writer: ObjectWriter, data: Uint8Array): Promise<void> {
  const buffer = Buffer.alloc(700_001)
  for (let at = 0, step = 1; at < data.length; step = (step * 7 + 13_331) % buffer.length) {
    const chunk = buffer.subarray(0, Math.min(step, data.length - at))
    chunk.set(data.subarray(at, at + chunk.length))
    await writer.write(chunk)
    chunk.fill(0xee)
    at += chunk.length
  }
}

/** Writes an object whole; an attempt that fails is aborted, as every caller does. */
export async function put(store: Store, key: string, data: Uint8Array, sized = true): Promise<StoredObject> {
  const writer = await store.create(key, { size: sized ? data.length : null }, never)
  try {
    await feed(writer, data)
    return await writer.finish()
  } catch (error) {
    await writer.abort()
    throw error
  }
}

export async function readAll(
  store: Store,
  key: string,
  range: { readonly offset: number; readonly length: number } | null = null,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of store.read(key, range, never)) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

export async function listAll(store: Store, prefix = ''): Promise<StoredObject[]> {
  const found: StoredObject[] = []
  for await (const object of store.list(prefix, never)) found.push(object)
  return found
}

/** The code of the SalvorError that `work` ends with; 'resolved' when it did not fail. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'resolved',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  )
}
