import { readFileSync } from 'node:fs'
import type { ArtifactFrames } from '@salvor/shared/ports/artifact'

/** A plain file as the frames of an artifact, and which of them were asked for. */
export function fileFrames(path: string, frameBytes = 65_536): ArtifactFrames & { readonly asked: number[] } {
  const bytes = readFileSync(path)
  const asked: number[] = []
  return {
    id: path,
    size: bytes.length,
    frame_bytes: frameBytes,
    asked,
    frame(n, into) {
      asked.push(n)
      return Promise.resolve(bytes.copy(into, 0, n * frameBytes, (n + 1) * frameBytes))
    },
  }
}
