const BLOCK_FRAMES = 8192
const HASH_BYTES = 32

interface Block {
  readonly stored: Uint32Array
  readonly hashes: Uint8Array
}

export interface Segment {
  readonly offset: number
  readonly stored: number
  /** Both null in a plain artifact. */
  readonly iv: Uint8Array | null
  readonly tag: Uint8Array | null
}

/** Stored length and SHA-256 of every frame, 36 bytes each: a million frames (1 TiB) take 36 MB. */
export class FrameTable {
  readonly #blocks: Block[] = []
  count = 0
  storedBytes = 0

  append(stored: number, sha256: Uint8Array): void {
    const at = this.count % BLOCK_FRAMES
    if (at === 0)
      this.#blocks.push({
        stored: new Uint32Array(BLOCK_FRAMES),
        hashes: new Uint8Array(BLOCK_FRAMES * HASH_BYTES),
      })
    const block = this.#blocks.at(-1)!
    block.stored[at] = stored
    block.hashes.set(sha256, at * HASH_BYTES)
    this.count++
    this.storedBytes += stored
  }
  stored(frame: number): number {
    return this.#block(frame).stored[frame % BLOCK_FRAMES]!
  }
  sha256(frame: number): Uint8Array {
    const at = (frame % BLOCK_FRAMES) * HASH_BYTES
    return this.#block(frame).hashes.subarray(at, at + HASH_BYTES)
  }

  #block(frame: number): Block {
    const block = frame < this.count ? this.#blocks[Math.floor(frame / BLOCK_FRAMES)] : undefined
    if (!block) throw new RangeError(`no frame ${frame}`)
    return block
  }
}

/** What an index file says: where frames and segments of one artifact lie, and how to tell that they are whole. */
export interface ArtifactIndex {
  readonly frames: FrameTable
  readonly segments: readonly Segment[]
}

/** Plain bytes of frame `n` of an artifact: full, but for the last. */
export function plainLength(
  n: number,
  artifact: { readonly source_bytes: number; readonly frame_bytes: number },
): number {
  return Math.min(artifact.frame_bytes, artifact.source_bytes - n * artifact.frame_bytes)
}
