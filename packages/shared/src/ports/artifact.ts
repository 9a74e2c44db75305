/** Digests of the pages of a file (docs/format.md section 15, nh128), made by the threads that have its bytes at hand. */
export interface PageDigesting {
  /** Bytes: a power of 2 from 512 to 65536. */
  readonly page_size: number
  /** 16 bytes. */
  readonly salt: Uint8Array
  /** Gets 16 bytes for each of the pages that follow, in order; valid until it returns. */
  take(digests: Uint8Array): void
}

/** Bytes of one file that are probably those of another, at another place. */
export interface AlikeBytes {
  readonly own: number
  readonly base: number
  readonly length: number
}

/** Where an engine puts the bytes of a snapshot. The repository compresses, encrypts and hashes them on all cores. */
export interface SnapshotSink {
  /** Takes bytes in order; they are copied before it returns. A promise: wait for it before the next call (the workers are behind). */
  write(chunk: Uint8Array): Promise<void> | undefined
  /**
   * Takes bytes [0, size) of an open file, read at random by the worker threads through `fd`, which must stay open until
   * it resolves. Ranges in `zeros` are taken as zeros and not read. A file shorter than `size` is an error. Use it alone or after `write`s.
   */
  writeFile(
    fd: number,
    size: number,
    zeros?: readonly { readonly offset: number; readonly length: number }[],
  ): Promise<void>
  /**
   * `writeFile` of whole pages, with their digests: all were given when it resolves. Used alone. Absent: this sink makes none, so the engine
   * reads the file once more for them.
   */
  writePages?(
    fd: number,
    size: number,
    zeros: readonly { readonly offset: number; readonly length: number }[],
    digesting: PageDigesting,
  ): Promise<void>
}

/** Bytes in order, of which the taker may leave some out. */
export interface SkippableBytes extends AsyncIterable<Uint8Array> {
  /** What comes next begins `count` bytes behind the end of the last chunk. For the taker of a chunk, before it asks for another. */
  skip(count: number): void
}

/** The plain bytes of a stored artifact; no byte is handed out that does not match the signed index. */
export interface ArtifactContent {
  readonly size: number
  /** In order. A chunk is valid until the next one is asked for. */
  chunks(signal: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * Keeps the last chunk of `chunks` as it is until `until` has settled, while others are asked for. Once a chunk, before the next is
   * asked for. Absent: it cannot be kept.
   */
  hold?(until: Promise<unknown>): void
  /**
   * In order from `from` on; what is skipped is neither fetched nor decoded where that saves something, so the checksum of the whole
   * is not looked at: each frame is compared with the signed index. Absent: everything is read.
   */
  skim?(from: number, signal: AbortSignal): SkippableBytes
  /** Writes every byte to its own offset of `fd`, in parallel, each once. */
  writeTo(fd: number, signal: AbortSignal): Promise<void>
}

/** The plain bytes of a stored artifact at random, a frame at a time; none is given that does not match the signed index. */
export interface ArtifactFrames {
  /** Of its backup. */
  readonly id: string
  /** Plain bytes. */
  readonly size: number
  /** Plain bytes of every frame but the last. */
  readonly frame_bytes: number
  /** Puts the plain bytes of frame `n`, from 0 on, into `into`, and gives how many they are. ARTIFACT_CORRUPT, and those of the STORE_ group. */
  frame(n: number, into: Uint8Array, signal: AbortSignal): Promise<number>
}
