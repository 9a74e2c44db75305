import { isLsn, lsnValue } from './lsn.ts'

/** A timeline that an ancestor's descendants left at `end`. */
export interface Ancestor {
  readonly timeline: number
  readonly end: bigint
}

/** A history file, oldest ancestor first. RangeError for text that is none. */
export function parseHistory(text: string): readonly Ancestor[] {
  const ancestors: Ancestor[] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [timeline, end] = line.trim().split(/\s+/)
    const number = Number(timeline)
    const grows = number > (ancestors.at(-1)?.timeline ?? 0)
    if (!Number.isInteger(number) || !grows || end === undefined || !isLsn(end)) {
      throw new RangeError('a line of the timeline history cannot be read')
    }
    ancestors.push({ timeline: number, end: lsnValue(end) })
  }
  return ancestors
}
