/** One ratio: Salvor's figure over the peer's, in the same run. */
export interface Row {
  readonly what: string
  readonly salvor: number
  /** Null: the peer is not on this machine. */
  readonly peer: number | null
  /** The ratio to stay under; null: only shown. */
  readonly goal: number | null
  readonly missing: string
}

/** A Markdown table, the goals that were missed and the peers that were not there named below it. */
export function report(rows: readonly Row[]): string {
  const cells = rows.map((row) => {
    if (row.peer === null)
      return `| ${row.what} | ${row.salvor.toFixed(2)} | - | - | ${row.goal ?? '-'} | not measured: ${row.missing} |`
    const ratio = row.salvor / row.peer
    const verdict = row.goal === null ? '' : ratio <= row.goal ? 'reached' : '**missed**'
    return `| ${row.what} | ${row.salvor.toFixed(2)} | ${row.peer.toFixed(2)} | ${ratio.toFixed(2)} | ${row.goal ?? '-'} | ${verdict} |`
  })
  return ['| what | Salvor | peer | ratio | goal | |', '|---|---|---|---|---|---|', ...cells].join('\n')
}
