import { closeSync, openSync, readSync } from 'node:fs'
import type { AlikeRanges } from './alike-ranges.ts'
import { NameTable } from './name-table.ts'

const CHUNK = 256 * 1024
const LF = 0x0a

/** The lines of a file from an offset on. */
export interface Lines {
  readonly file: string
  readonly from: number
}

/** Adds the lines of a manifest that are in the parent's, too: those of files that nobody touched. Lines are found by their hash alone, since whoever uses the ranges compares bytes. */
export function addAlikeLines(ranges: AlikeRanges, own: Lines, base: Lines): void {
  const places = new NameTable()
  for (const { at, text } of linesOf(base)) places.add(text, at)
  for (const { at, text } of linesOf(own)) {
    const place = places.find(text, () => true)
    if (place !== null) ranges.add(at, place, text.length)
  }
}

function* linesOf({ file, from }: Lines): Generator<{ readonly at: number; readonly text: string }> {
  const fd = openSync(file, 'r')
  try {
    const buffer = Buffer.allocUnsafeSlow(CHUNK)
    let held = ''
    for (let at = from, read = from, count; (count = readSync(fd, buffer, 0, CHUNK, read)) > 0; read += count) {
      let begun = 0
      for (let end; (end = buffer.indexOf(LF, begun)) !== -1 && end < count; begun = end + 1) {
        const text = held + buffer.toString('latin1', begun, end + 1)
        held = ''
        yield { at, text }
        at += text.length
      }
      held += buffer.toString('latin1', begun, count)
    }
  } finally {
    closeSync(fd)
  }
}
