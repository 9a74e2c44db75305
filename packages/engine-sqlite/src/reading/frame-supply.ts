import type { ArtifactFrames } from '@salvor/shared/ports/artifact'

/**
 * Frames for the reading thread. One that follows the last is fetched ahead, while the thread works on what it has: a scan then waits for the slower
 * of the two, not for both.
 */
export class FrameSupply {
  readonly #artifacts: readonly ArtifactFrames[]
  readonly #signal: AbortSignal
  readonly #room: Uint8Array
  #last = { artifact: -1, frame: -1 }
  /** What lies in the room, or will. */
  #ahead: { readonly artifact: number; readonly frame: number; readonly length: Promise<number> } | null = null

  constructor(artifacts: readonly ArtifactFrames[], signal: AbortSignal) {
    this.#artifacts = artifacts
    this.#signal = signal
    this.#room = new Uint8Array(Math.max(...artifacts.map(({ frame_bytes }) => frame_bytes)))
  }

  /** One at a time. */
  async bring(artifact: number, frame: number, into: Uint8Array): Promise<void> {
    const ahead = this.#ahead
    this.#ahead = null
    if (ahead?.artifact === artifact && ahead.frame === frame) into.set(this.#room.subarray(0, await ahead.length))
    else {
      await this.#artifacts[artifact]!.frame(frame, into, this.#signal)
      // The room is free once it has come, too. Its failure counts only if it is asked for.
      await ahead?.length.catch(() => undefined)
    }
    const inRow = this.#last.artifact === artifact && this.#last.frame + 1 === frame
    this.#last = { artifact, frame }
    if (inRow) this.#fetchAhead(artifact, frame + 1)
  }

  #fetchAhead(artifact: number, frame: number): void {
    const { size, frame_bytes } = this.#artifacts[artifact]!
    if (frame * frame_bytes >= size) return
    const length = new Promise<number>((resolve, reject) => {
      // After the frame before it has been handed over.
      setImmediate(() => void this.#artifacts[artifact]!.frame(frame, this.#room, this.#signal).then(resolve, reject))
    })
    length.catch(() => undefined)
    this.#ahead = { artifact, frame, length }
  }
}
