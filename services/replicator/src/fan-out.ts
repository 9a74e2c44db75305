import { createHash } from 'node:crypto'
import { SalvorError, asSalvorError } from '@salvor/shared/errors/salvor-error'
import type { ObjectKey, ObjectWriter, Store } from '@salvor/shared/ports/store'

/** One place that an object goes to. `resume`: where an earlier attempt broke off. */
export interface Destination {
  readonly store: Store
  readonly resume: string | null
}

export interface Landing {
  readonly store: string
  /** Null: the bytes are there, their size and digest proven by the store. */
  readonly error: SalvorError | null
}

export interface FanOutOptions {
  readonly size: number | null
  /** SHA-256 the object must have, hex; null: whatever the source gives. */
  readonly sha256: string | null
  onBytes(done: number): void
  /** Called when a store has a new place to resume from. */
  onToken(store: string, token: string): Promise<void>
}

interface Upload {
  readonly store: string
  readonly writer: ObjectWriter | null
  token: string | null
  error: SalvorError | null
}

/**
 * Reads one object once and writes it to several stores. A store that fails is left behind and reported; the others go on.
 * Throws only when the bytes cannot be read, or are not the ones wanted: then no store keeps anything.
 */
export async function fanOut(
  from: Store,
  key: ObjectKey,
  to: readonly Destination[],
  options: FanOutOptions,
  signal: AbortSignal,
): Promise<readonly Landing[]> {
  const uploads = await Promise.all(to.map((destination) => begin(destination, key, options.size, signal)))
  try {
    const pumped = await pump(from.read(key, null, signal), uploads, options)
    if (pumped === null) return uploads.map(({ store, error }) => ({ store, error }))
    const { size, sha256 } = pumped
    if (options.sha256 !== null && sha256 !== options.sha256) {
      throw new SalvorError('ARTIFACT_CORRUPT', {
        key: `${from.name}/${key}`,
        reason: 'its bytes are not those of the manifest',
      })
    }
    await Promise.all(uploads.map((upload) => land(upload, key, size, sha256)))
  } catch (error) {
    // What could be resumed is kept only if the bytes were right so far: a reader's failure, not its bytes.
    const keepParts = !(error instanceof SalvorError && error.code === 'ARTIFACT_CORRUPT')
    await Promise.all(uploads.map(async ({ writer }) => writer?.abort({ keepParts })))
    throw error
  }
  return uploads.map(({ store, error }) => ({ store, error }))
}

async function begin(to: Destination, key: ObjectKey, size: number | null, signal: AbortSignal): Promise<Upload> {
  const { name } = to.store
  try {
    const writer = await to.store.create(key, { resume: to.resume, size }, signal)
    return { store: name, writer, token: to.resume, error: null }
  } catch (error) {
    return { store: name, writer: null, token: to.resume, error: asSalvorError(error) }
  }
}

/** Null: no store takes any more, so the rest was not read. */
async function pump(chunks: AsyncIterable<Uint8Array>, uploads: readonly Upload[], options: FanOutOptions) {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of chunks) {
    const writing = uploads.map((upload) => step(upload, options, (writer) => writer.write(chunk)))
    hash.update(chunk)
    size += chunk.byteLength
    await Promise.all(writing)
    if (uploads.length > 0 && uploads.every((upload) => upload.error !== null)) return null
    options.onBytes(size)
  }
  return { size, sha256: hash.digest('hex') }
}

async function step(
  upload: Upload,
  options: FanOutOptions,
  act: (writer: ObjectWriter) => Promise<void>,
): Promise<void> {
  const { writer } = upload
  if (writer === null || upload.error !== null) return
  try {
    await act(writer)
    const token = writer.resumeToken
    if (token !== null && token !== upload.token) await options.onToken(upload.store, (upload.token = token))
  } catch (error) {
    upload.error = asSalvorError(error)
    await writer.abort({ keepParts: upload.error.retryable })
  }
}

async function land(upload: Upload, key: ObjectKey, size: number, sha256: string): Promise<void> {
  const { writer } = upload
  if (writer === null || upload.error !== null) return
  try {
    const stored = await writer.finish()
    if (stored.size !== size || (stored.sha256 !== null && stored.sha256 !== sha256)) {
      throw new SalvorError('STORE_BAD_ECHO', {
        store: upload.store,
        key,
        reason: 'size or digest differ after the upload',
      })
    }
  } catch (error) {
    upload.error = asSalvorError(error)
    await writer.abort({ keepParts: upload.error.retryable })
  }
}
