import { FilesDiffer } from '../data-folder/compare.ts'

/** What backup_label says of a backup's place in a chain. */
export interface Label {
  readonly start: string
  readonly timeline: number
  /** Of the server's own incrementals: where the parent began. */
  readonly from: { readonly lsn: string; readonly timeline: number } | null
}

export function parseLabel(text: string): Label {
  const start = /^START WAL LOCATION: ([0-9A-F]+\/[0-9A-F]+) /m.exec(text)?.[1]
  const timeline = /^START TIMELINE: (\d+)$/m.exec(text)?.[1]
  if (!start || !timeline) throw new FilesDiffer('backup_label does not say where the backup began')
  const lsn = /^INCREMENTAL FROM LSN: ([0-9A-F]+\/[0-9A-F]+)$/m.exec(text)?.[1]
  const from = /^INCREMENTAL FROM TLI: (\d+)$/m.exec(text)?.[1]
  return { start, timeline: Number(timeline), from: lsn && from ? { lsn, timeline: Number(from) } : null }
}

/** The label of the combined backup: a server refuses to start with one that says it is an increment. */
export const fullLabel = (text: string): string => text.replace(/^INCREMENTAL FROM [^\n]*\n/gm, '')

/** Throws FilesDiffer unless `newer` was taken on `older`. */
export function assertStandsOn(newer: Label, older: Label): void {
  if (newer.from === null) return
  if (newer.from.lsn !== older.start || newer.from.timeline !== older.timeline) {
    throw new FilesDiffer(
      `the chain is broken: an increment from ${newer.from.lsn} lies on a backup from ${older.start}`,
    )
  }
}
