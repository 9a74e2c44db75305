import { createReadStream, statSync, write } from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'

const CHUNK = 1024 * 1024
const writeAt = promisify(write)

/** The bytes of a plain file as the content of an artifact. `beforeChunk`: where a test interferes with `writeTo`. */
export function fileContent(path: string, beforeChunk?: (offset: number) => Promise<void> | void): ArtifactContent {
  const { size } = statSync(path)
  return {
    size,
    chunks: (signal) => createReadStream(path, { signal, highWaterMark: CHUNK }),
    async writeTo(fd, signal) {
      await using source = await open(path, 'r')
      const buffer = Buffer.alloc(CHUNK)
      for (let offset = 0; offset < size;) {
        signal.throwIfAborted()
        await beforeChunk?.(offset)
        const { bytesRead } = await source.read(buffer, 0, CHUNK, offset)
        if (bytesRead === 0) throw new Error(`the file ended at ${offset}`)
        for (let done = 0; done < bytesRead;) {
          done += (await writeAt(fd, buffer, done, bytesRead - done, offset + done)).bytesWritten
        }
        offset += bytesRead
      }
    },
  }
}
