import { createDecipheriv, hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactFrames } from '@salvor/shared/ports/artifact'
import type { Store } from '@salvor/shared/ports/store'
import { type ArtifactIndex, plainLength } from './frame-table.ts'
import { freeBuffer } from './free-buffer.ts'
import { decompressFrame } from './frames.ts'
import { asHex } from './hash.ts'
import type { Manifest } from './manifest.ts'
import {
  artifactKeyOf,
  type CopyAddress,
  corrupt,
  openDataKey,
  readArtifactIndex,
  readManifest,
  statArtifact,
} from './open-backup.ts'

const ATTEMPTS = 3
const PAUSE_MS = 300

export interface OpenFrames extends Disposable {
  readonly manifest: Manifest
  readonly content: ArtifactFrames
}

/**
 * Opens one copy for looking into it: manifest, index and keys are checked here, a frame when it is asked for. Tags and checksum of the whole are not
 * looked at: no frame counts that the signed index does not name. MANIFEST_INVALID, SIGNER_UNKNOWN, ARTIFACT_CORRUPT, KEY_MISSING. Disposing zeroes the key.
 */
export async function openFrames(address: CopyAddress, signal: AbortSignal): Promise<OpenFrames> {
  const { store } = address
  const { manifest } = await readManifest(address, signal)
  const { size } = await statArtifact(manifest, store, signal)
  if (size !== manifest.size_bytes)
    throw corrupt(manifest, artifactKeyOf(manifest), `it has ${size} bytes, the manifest says ${manifest.size_bytes}`)
  const index = await readArtifactIndex(manifest, store, signal)
  const dataKey = await openDataKey(manifest, address, signal)
  return {
    manifest,
    content: new FramesAtRandom(manifest, index, store, dataKey),
    [Symbol.dispose]: () => void dataKey?.fill(0),
  }
}

class FramesAtRandom implements ArtifactFrames {
  readonly #manifest: Manifest
  readonly #index: ArtifactIndex
  readonly #store: Store
  readonly #dataKey: Uint8Array | null
  /** Where each frame begins in the artifact: the index has lengths only. */
  readonly #offsets: Float64Array

  constructor(manifest: Manifest, index: ArtifactIndex, store: Store, dataKey: Uint8Array | null) {
    this.#manifest = manifest
    this.#index = index
    this.#store = store
    this.#dataKey = dataKey
    this.#offsets = new Float64Array(manifest.frames)
    for (let n = 0, offset = 0; n < manifest.frames; offset += index.frames.stored(n), n++) this.#offsets[n] = offset
  }

  get id(): string {
    return this.#manifest.id
  }
  get size(): number {
    return this.#manifest.source_bytes
  }
  get frame_bytes(): number {
    return this.#manifest.frame_bytes
  }

  async frame(n: number, into: Uint8Array, signal: AbortSignal): Promise<number> {
    const offset = this.#offsets[n]
    if (offset === undefined) throw new SalvorError('INTERNAL', { what: `frame ${n} of ${this.#manifest.frames}` })
    const stored = await this.#stored(offset, this.#index.frames.stored(n), signal)
    const bad = (what: string, cause?: unknown) =>
      corrupt(this.#manifest, artifactKeyOf(this.#manifest), `frame ${n} at offset ${offset} ${what}`, cause)
    if (hash('sha256', stored, 'hex') !== asHex(this.#index.frames.sha256(n))) throw bad('does not match the index')
    const compressed = this.#decrypted(stored, offset)
    try {
      const plain = decompressFrame(compressed, plainLength(n, this.#manifest), this.#manifest.compression.algorithm)
      const { length } = plain
      into.set(plain)
      freeBuffer(plain)
      return length
    } catch (error) {
      throw bad('does not open', error)
    } finally {
      // A scan would have hundreds of them wait for the garbage collector.
      freeBuffer(stored)
      if (compressed !== stored) freeBuffer(compressed)
    }
  }

  /** A search over many backups must not end with one connection that broke off. */
  async #stored(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#read(offset, length, signal)
      } catch (error) {
        if (attempt === ATTEMPTS || !(error instanceof SalvorError) || !error.retryable) throw error
        await sleep(attempt * PAUSE_MS, undefined, { signal })
      }
    }
  }

  async #read(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    const key = artifactKeyOf(this.#manifest)
    const stored = new Uint8Array(length)
    let at = 0
    for await (const chunk of this.#store.read(key, { offset, length }, signal)) {
      if (at + chunk.length > length) throw corrupt(this.#manifest, key, `more bytes came than frame at ${offset} has`)
      stored.set(chunk, at)
      at += chunk.length
    }
    if (at < length) throw corrupt(this.#manifest, key, `it ends within the frame at offset ${offset}`)
    return stored
  }

  /** AES-256-CTR from the frame's place in its GCM segment: counter block 2 is the segment's first. */
  #decrypted(stored: Uint8Array, offset: number): Uint8Array {
    const segment = this.#index.segments.findLast((one) => one.offset <= offset)
    if (!this.#dataKey || !segment?.iv) return stored
    const position = offset - segment.offset
    const counter = Buffer.alloc(16)
    counter.set(segment.iv)
    counter.writeUInt32BE(2 + Math.floor(position / 16), 12)
    const decipher = createDecipheriv('aes-256-ctr', this.#dataKey, counter)
    decipher.update(new Uint8Array(position % 16))
    return decipher.update(stored)
  }
}
