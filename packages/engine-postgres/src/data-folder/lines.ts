import { createReadStream } from 'node:fs'

const LONGEST_LINE = 64 * 1024

/** A file's lines, each without its newline. A line without an end is given too. */
export async function* linesOf(file: string, signal: AbortSignal): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of createReadStream(file, { encoding: 'utf8', highWaterMark: 256 * 1024, signal })) {
    const lines = (rest + (chunk as string)).split('\n')
    rest = lines.pop()!
    if (rest.length > LONGEST_LINE) throw new RangeError('a line without an end')
    yield* lines
  }
  if (rest !== '') yield rest
}
