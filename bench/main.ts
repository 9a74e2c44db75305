// npm run bench: Salvor beside its peers on the same data in one run, in memory. Only the ratios carry over to another machine.
import { parseArgs } from 'node:util'
import { benchPostgres } from './postgres.ts'
import { report, type Row } from './report.ts'
import { benchSqlite } from './sqlite.ts'
import { benchCapture } from './sqlite-capture.ts'
import { makeWorkplace } from './workplace.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    // About 1.45 GB, and about 1 GB.
    'sqlite-rows': { type: 'string', default: '330000' },
    // Incrementals of the chain that is restored.
    'sqlite-links': { type: 'string', default: '30' },
    // Of a writer that is followed.
    'capture-seconds': { type: 'string', default: '50' },
    'postgres-scale': { type: 'string', default: '100' },
  },
})
const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`)
const rounds = Number(values.rounds)
const rows: Row[] = []
const only = values.only
if (only === undefined || only === 'capture') {
  using place = makeWorkplace()
  rows.push(...(await benchCapture(place, { rows: 20_000, seconds: Number(values['capture-seconds']), say })))
}
if (only === undefined || only === 'sqlite') {
  using place = makeWorkplace()
  rows.push(
    ...(await benchSqlite(place, {
      rows: Number(values['sqlite-rows']),
      rounds,
      links: Number(values['sqlite-links']),
      say,
    })),
  )
}
if (only === undefined || only === 'postgres') {
  using place = makeWorkplace()
  rows.push(...(await benchPostgres(place, { scale: Number(values['postgres-scale']), rounds, say })))
}
console.log(report(rows))
