import type { ArtifactFrames } from '@salvor/shared/ports/artifact'

/**
 * Frames for the reading thread. One that follows the last is fetched ahead, while the thread works on what it has: a scan then waits for the slower
 * of the two, not for both.
 */
export class FrameSupply {
  readonly #artifacts: readonly ArtifactFrames[]
  readonly #signal: AbortSignal
  #last = { artifact: -1, frame: -1 }
  #ahead: { readonly artifact: number; readonly frame: number; readonly bytes: Promise<Uint8Array> } | null = null

  constructor(artifacts: readonly ArtifactFrames[], signal: AbortSignal) {
    this.#artifacts = artifacts
    this.#signal = signal
  }

  async frame(artifact: number, frame: number): Promise<Uint8Array> {
    const ahead = this.#ahead
    const fetched = ahead?.artifact === artifact && ahead.frame === frame ? ahead.bytes : this.#fetch(artifact, frame)
    const inRow = this.#last.artifact === artifact && this.#last.frame + 1 === frame
    this.#last = { artifact, frame }
    const bytes = await fetched
    this.#ahead = inRow ? this.#fetchAhead(artifact, frame + 1) : null
    return bytes
  }

  #fetchAhead(artifact: number, frame: number) {
    const { size, frame_bytes } = this.#artifacts[artifact]!
    if (frame * frame_bytes >= size) return null
    const bytes = new Promise<Uint8Array>((resolve, reject) => {
      // After the frame before it has been handed over.
      setImmediate(() => void this.#fetch(artifact, frame).then(resolve, reject))
    })
    // Its failure counts only if the frame is asked for.
    bytes.catch(() => undefined)
    return { artifact, frame, bytes }
  }

  #fetch(artifact: number, frame: number): Promise<Uint8Array> {
    return this.#artifacts[artifact]!.frame(frame, this.#signal)
  }
}
