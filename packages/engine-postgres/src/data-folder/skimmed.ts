import type { ArtifactContent, SkippableBytes } from '@salvor/shared/ports/artifact'

/** An artifact's bytes from `from` on; what is skipped is left out, or read and dropped where its content cannot do better. */
export function skimmed(content: ArtifactContent, from: number, signal: AbortSignal): SkippableBytes {
  return content.skim?.(from, signal) ?? new Dropping(content, from, signal)
}

class Dropping implements SkippableBytes {
  readonly #content: ArtifactContent
  readonly #signal: AbortSignal
  #drop: number

  constructor(content: ArtifactContent, from: number, signal: AbortSignal) {
    this.#content = content
    this.#drop = from
    this.#signal = signal
  }

  skip(count: number): void {
    this.#drop += count
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#content.chunks(this.#signal)) {
      const dropped = Math.min(this.#drop, chunk.length)
      this.#drop -= dropped
      if (dropped < chunk.length) yield chunk.subarray(dropped)
    }
  }
}
