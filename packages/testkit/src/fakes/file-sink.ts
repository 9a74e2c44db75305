import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'

export interface FileSink extends SnapshotSink, AsyncDisposable {
  /** Bytes taken so far. */
  readonly size: number
  /** SHA-256 of everything taken so far, hex. */
  digest(): string
}

export interface FileSinkOptions {
  /** Bytes between two pauses, for sinks that are slower than the disk. */
  readonly chunk?: number
  /** Called before each chunk: where a test interferes, or makes the sink slow. */
  readonly beforeChunk?: (offset: number) => Promise<void> | void
}

/** A sink that writes plain bytes into a file; without a path they are only counted and hashed. */
export function openFileSink(path: string | null, options: FileSinkOptions = {}): FileSink {
  const out = path === null ? null : openSync(path, 'wx', 0o600)
  const hash = createHash('sha256')
  const buffer = Buffer.alloc(options.chunk ?? 1024 * 1024)
  let taken = 0
  let open = true
  const take = (bytes: Uint8Array): void => {
    if (out !== null) writeSync(out, bytes)
    hash.update(bytes)
    taken += bytes.length
  }
  return {
    get size() {
      return taken
    },
    digest: () => hash.copy().digest('hex'),
    write(chunk) {
      take(chunk)
      return undefined
    },
    async writeFile(fd, size, zeros = []) {
      if (fstatSync(fd).size < size) throw new Error('the file is shorter than promised')
      for (let offset = 0; offset < size;) {
        await (options.beforeChunk ? options.beforeChunk(offset) : pause(0))
        const length = Math.min(buffer.length, size - offset)
        readRange(fd, buffer.subarray(0, length), offset, zeros)
        take(buffer.subarray(0, length))
        offset += length
      }
    },
    async [Symbol.asyncDispose]() {
      if (open && out !== null) closeSync(out)
      open = false
    },
  }
}

/** Ranges in `zeros` are not read, as the port says: whatever the file holds there must not come through. */
function readRange(
  fd: number,
  into: Buffer,
  offset: number,
  zeros: readonly { offset: number; length: number }[],
): void {
  for (let done = 0; done < into.length;) {
    const got = readSync(fd, into, done, into.length - done, offset + done)
    if (got === 0) throw new Error(`the file ended at ${offset + done}`)
    done += got
  }
  for (const range of zeros) {
    const from = Math.max(range.offset - offset, 0)
    const to = Math.min(range.offset + range.length - offset, into.length)
    if (from < to) into.fill(0, from, to)
  }
}
