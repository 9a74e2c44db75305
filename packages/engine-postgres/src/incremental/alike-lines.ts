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

/** Adds the lines of a manifest that are in the parent's, too: those of files that nobody touched. */
export function addAlikeLines(ranges: AlikeRanges, own: Lines, base: Lines): void {
  using opened = new DisposableStack()
  const [ownFile, baseFile] = [own, base].map(({ file }) => opened.adopt(openSync(file, 'r'), closeSync)) as [
    number,
    number,
  ]
  const places = new NameTable()
  for (const { at, text } of linesOf(baseFile, base.from)) places.add(text, at)
  const buffer = Buffer.alloc(CHUNK)
  let next = base.from
  for (const { at, text } of linesOf(ownFile, own.from)) {
    // Most lines follow the one before them there, too. Elsewhere one with the same hash would lead far away from all that come after it.
    const isIt = (place: number): boolean => {
      if (place === next) return true
      const count = readSync(baseFile, buffer, 0, Math.min(text.length, CHUNK), place)
      return buffer.toString('latin1', 0, count) === text
    }
    const place = places.find(text, isIt)
    if (place === null) continue
    ranges.add(at, place, text.length)
    next = place + text.length
  }
}

function* linesOf(file: number, from: number): Generator<{ readonly at: number; readonly text: string }> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK)
  let held = ''
  for (let at = from, read = from, count; (count = readSync(file, buffer, 0, CHUNK, read)) > 0; read += count) {
    let begun = 0
    for (let end; (end = buffer.indexOf(LF, begun)) !== -1 && end < count; begun = end + 1) {
      const text = held + buffer.toString('latin1', begun, end + 1)
      held = ''
      yield { at, text }
      at += text.length
    }
    held += buffer.toString('latin1', begun, count)
  }
}
