import { open } from 'node:fs/promises'

const LONGEST_LINE = 64 * 1024
const CHUNK = 2 * LONGEST_LINE

/** A file's lines, each without its newline. A line without an end is given too. One buffer serves the whole file. */
export async function* linesOf(file: string, signal: AbortSignal): AsyncGenerator<string> {
  const buffer = Buffer.allocUnsafe(CHUNK)
  await using handle = await open(file)
  let held = 0
  for (;;) {
    signal.throwIfAborted()
    const { bytesRead } = await handle.read(buffer, held, buffer.length - held)
    if (bytesRead === 0) break
    const filled = held + bytesRead
    const end = buffer.lastIndexOf(0x0a, filled - 1)
    if (end !== -1) yield* buffer.toString('utf8', 0, end).split('\n')
    buffer.copyWithin(0, end + 1, filled)
    held = filled - end - 1
    if (held > LONGEST_LINE) throw new RangeError('a line without an end')
  }
  if (held > 0) yield buffer.toString('utf8', 0, held)
}
