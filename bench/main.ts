// npm run bench: Salvor beside its peers on the same data in one run, in memory. Only the ratios carry over to another machine.
import { parseArgs } from 'node:util'
import { benchIncrementals } from './postgres-changes.ts'
import { benchNative } from './postgres-native.ts'
import { benchPostgres } from './postgres.ts'
import { report, type Row } from './report.ts'
import { benchSqlite } from './sqlite.ts'
import { benchCapture } from './sqlite-capture.ts'
import { benchArchive } from './wal-archive.ts'
import { benchLatency } from './wal-latency.ts'
import { benchStreams } from './wal-streams.ts'
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
    // About 1 GB of WAL.
    'wal-scale': { type: 'string', default: '60' },
    seconds: { type: 'string', default: '20' },
    'wal-rate': { type: 'string', default: '50' },
    // Of `--only streams`.
    streams: { type: 'string', default: '200' },
    servers: { type: 'string', default: '50' },
  },
})
const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`)
const rounds = Number(values.rounds)
const rows: Row[] = []
/** Each in a workplace of its own; `--only` names one. */
const wanted = (part: string): boolean => values.only === undefined || values.only === part
if (wanted('capture')) {
  using place = makeWorkplace()
  rows.push(...(await benchCapture(place, { rows: 20_000, seconds: Number(values['capture-seconds']), say })))
}
if (wanted('sqlite')) {
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
if (wanted('postgres')) {
  using place = makeWorkplace()
  rows.push(...(await benchPostgres(place, { scale: Number(values['postgres-scale']), rounds, say })))
}
if (wanted('incrementals')) {
  const options = { scale: Number(values['postgres-scale']), rounds, say }
  for (const bench of [benchIncrementals, benchNative]) {
    using place = makeWorkplace()
    rows.push(...(await bench(place, options)))
  }
}
if (wanted('wal')) {
  using place = makeWorkplace()
  rows.push(...(await benchArchive(place, { scale: Number(values['wal-scale']), rounds, say })))
}
if (wanted('latency')) {
  using place = makeWorkplace()
  rows.push(
    ...(await benchLatency(place, { seconds: Number(values.seconds), rate: 1e6 * Number(values['wal-rate']), say })),
  )
}
// Takes minutes, and is never part of a whole run.
if (values.only === 'streams') {
  using place = makeWorkplace()
  const counts = { streams: Number(values.streams), servers: Number(values.servers) }
  rows.push(...(await benchStreams(place, { ...counts, seconds: Number(values.seconds), say })))
}
console.log(report(rows))
