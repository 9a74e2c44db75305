import { pipeline } from 'node:stream/promises'
import { Readable, Transform } from 'node:stream'
import zlib from 'node:zlib'
import { type ArtifactIndex, FrameTable, plainLength, type Segment } from './frame-table.ts'
import { MAX_SEGMENT_BYTES, storedBound } from './frames.ts'
import { StreamHash } from './hash.ts'
import { type IndexedArtifact, indexHeader, MAX_INDEX_LINE } from './index-file.ts'

/** The bytes of an index do not say what an index of this artifact must say. */
export class IndexInvalid extends Error {}

const SEGMENT_LINE = /^\[(\d{1,16}),(\d{1,10}),(?:null,null|"([0-9a-f]{24})","([0-9a-f]{32})")\]$/
const FRAME_LINE = /^\[(\d{1,7}),(\d{1,7}),"([0-9a-f]{64})"\]$/
/** The smallest frame of either codec: an artifact has no more frames than its size allows. */
const MIN_FRAME_BYTES = 9

/**
 * Reads an index in bounded memory. Whatever the bytes are, at most the artifact's own number of lines is decoded, and no more
 * memory is taken than those lines need. Throws IndexInvalid; gives the index only if `sha256` is that of the bytes.
 */
export async function readIndex(
  stored: AsyncIterable<Uint8Array>,
  artifact: IndexedArtifact,
  sha256: string,
  signal: AbortSignal,
): Promise<ArtifactIndex> {
  if (artifact.frames * MIN_FRAME_BYTES > artifact.size_bytes)
    throw new IndexInvalid('more frames than the artifact can hold')
  const hash = new StreamHash()
  const builder = new IndexBuilder(artifact)
  const unzip = zlib.createZstdDecompress({ params: { [zlib.constants.ZSTD_d_windowLogMax]: 23 } })
  let storeError: unknown
  async function* hashed(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of stored) {
        hash.update(chunk)
        yield Buffer.from(chunk)
      }
    } catch (error) {
      storeError = error
      throw error
    }
  }
  try {
    await pipeline(Readable.from(hashed(), { objectMode: false }), unzip, lineSplitter(builder), { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw (
      storeError ??
      (error instanceof IndexInvalid ? error : new IndexInvalid('it does not decompress', { cause: error }))
    )
  }
  if (hash.hex() !== sha256) throw new IndexInvalid('its SHA-256 is not that of the manifest')
  return builder.finish()
}

function lineSplitter(builder: IndexBuilder): Transform {
  let rest = ''
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        const lines = (rest + chunk.toString('latin1')).split('\n')
        rest = lines.pop()!
        for (const line of lines) builder.line(line)
        if (rest.length > MAX_INDEX_LINE) throw new IndexInvalid('a line is too long')
        done()
      } catch (error) {
        done(error as Error)
      }
    },
    flush(done) {
      done(rest === '' ? null : new IndexInvalid('it ends within a line'))
    },
  })
}

/** Takes line after line and refuses the first that cannot follow. */
class IndexBuilder {
  readonly #artifact: IndexedArtifact
  readonly #frames = new FrameTable()
  readonly #segments: Segment[] = []
  #lines = 0
  #segmentEnd = 0
  /** The segment that the next frame lies in, and where it ends. */
  #segment = 0

  constructor(artifact: IndexedArtifact) {
    this.#artifact = artifact
  }

  line(text: string): void {
    const { segments, frames } = this.#artifact
    const n = this.#lines++
    if (n === 0) this.#require(text === indexHeader(this.#artifact), 'the header is of another artifact')
    else if (n <= segments) this.#addSegment(text)
    else if (n <= segments + frames) this.#addFrame(text)
    else throw new IndexInvalid('more lines than the manifest says')
  }

  finish(): ArtifactIndex {
    const { size_bytes, frames } = this.#artifact
    this.#require(this.#frames.count === frames, 'fewer lines than the manifest says')
    this.#require(
      this.#frames.storedBytes === size_bytes && this.#segmentEnd === size_bytes,
      'its lengths do not add up',
    )
    return { frames: this.#frames, segments: this.#segments }
  }

  #addSegment(text: string): void {
    const [, offset, stored, iv, tag] = SEGMENT_LINE.exec(text) ?? []
    const encrypted = iv !== undefined
    this.#require(offset !== undefined && encrypted === this.#artifact.encrypted, 'a segment line is malformed')
    const segment = { offset: Number(offset), stored: Number(stored), iv: bytes(iv), tag: bytes(tag) }
    this.#require(segment.offset === this.#segmentEnd, 'segments do not follow each other')
    this.#require(segment.stored > 0 && segment.stored <= MAX_SEGMENT_BYTES, 'a segment is too long')
    this.#segments.push(segment)
    this.#segmentEnd += segment.stored
  }

  #addFrame(text: string): void {
    const [, length, plain, sha256] = FRAME_LINE.exec(text) ?? []
    this.#require(length !== undefined, 'a frame line is malformed')
    const stored = Number(length)
    this.#require(Number(plain) === plainLength(this.#frames.count, this.#artifact), 'a frame has another plain length')
    this.#require(stored > 0 && stored <= storedBound(this.#artifact.frame_bytes), 'a frame is too long')
    const segment = this.#segments[this.#segment]!
    const rest = segment.offset + segment.stored - this.#frames.storedBytes - stored
    this.#require(rest >= 0, 'a frame crosses a segment')
    this.#frames.append(stored, Buffer.from(sha256!, 'hex'))
    if (rest === 0 && this.#segment < this.#segments.length - 1) this.#segment++
  }

  #require(holds: boolean, reason: string): void {
    if (!holds) throw new IndexInvalid(reason)
  }
}

function bytes(hex: string | undefined): Uint8Array | null {
  return hex === undefined ? null : Buffer.from(hex, 'hex')
}
