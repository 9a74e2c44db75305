import { rmSync, statSync } from 'node:fs'
import { createClinic, startWriter } from '@salvor/testkit/real/sqlite-writer'
import { measure, medianCost, type Cost } from './measure.ts'
import type { Row } from './report.ts'
import { resticIn } from './restic.ts'
import { benchChanges } from './sqlite-changes.ts'
import { bytesIn, program, type Workplace } from './workplace.ts'

/** Full backup and restore of one clinic database beside restic, the same backup under a writer, and incrementals. */
export async function benchSqlite(
  place: Workplace,
  options: { rows: number; rounds: number; links: number; say: (line: string) => void },
): Promise<Row[]> {
  const db = place.path('clinic.db')
  options.say(`making a SQLite database of ${options.rows} visits …`)
  createClinic(db, { rows: options.rows })
  options.say(`${(statSync(db).size / 1e6).toFixed(0)} MB`)
  const restic = program('restic')
  const salvor = { full: [] as Cost[], busy: [] as Cost[], restore: [] as Cost[], stored: 0 }
  const peer = { full: [] as Cost[], restore: [] as Cost[], stored: 0 }
  await measure(place.salvor('keys', 'create', '--out', 'keys.json', '--recovery', 'recovery.pem'))
  place.write('salvor.yaml', configuration(db))
  for (let round = 0; round < options.rounds; round += 1) {
    options.say(`SQLite round ${round + 1} of ${options.rounds}`)
    place.fresh('backups')
    rmSync(place.path('salvor-data'), { recursive: true, force: true })
    salvor.full.push(await measure(place.salvor('backup', 'clinic', '--json')))
    salvor.stored = bytesIn(place.path('backups'))
    salvor.restore.push(await measure(place.salvor('restore', 'clinic', '--to', `${place.fresh('out')}/clinic.db`)))
    place.fresh('backups')
    await using writer = await startWriter(db, { tps: 200 })
    salvor.busy.push(await measure(place.salvor('backup', 'clinic', '--json')))
    const { committed, max_ms } = await writer.stop()
    options.say(`the writer committed ${committed} times beside it, and waited ${max_ms.toFixed(1)} ms at most`)
    if (restic === null) continue
    const repository = place.fresh('restic')
    const run = resticIn(restic, repository)
    await measure(run('init'))
    peer.full.push(await measure(run('backup', '--compression', 'auto', db)))
    peer.stored = bytesIn(repository)
    peer.restore.push(await measure(run('restore', 'latest', '--target', place.fresh('out'))))
  }
  const changes = await benchChanges(place, { db, restic, ...options })
  return [...rows({ salvor, peer: restic === null ? null : peer, busy: medianCost(salvor.busy) }), ...changes]
}

interface Side {
  readonly full: readonly Cost[]
  readonly restore: readonly Cost[]
  readonly stored: number
}

function rows({ salvor, peer, busy }: { salvor: Side; peer: Side | null; busy: Cost }): Row[] {
  const own = { full: medianCost(salvor.full), restore: medianCost(salvor.restore) }
  const other = peer && { full: medianCost(peer.full), restore: medianCost(peer.restore) }
  const missing = 'restic is not installed here'
  return [
    {
      what: 'SQLite full: CPU seconds / restic',
      salvor: own.full.cpu_s,
      peer: other?.full.cpu_s ?? null,
      goal: 0.55,
      missing,
    },
    {
      what: 'SQLite full: wall / restic',
      salvor: own.full.wall_s,
      peer: other?.full.wall_s ?? null,
      goal: null,
      missing,
    },
    {
      what: 'SQLite full: stored MB / restic',
      salvor: salvor.stored / 1e6,
      peer: peer && peer.stored / 1e6,
      goal: null,
      missing,
    },
    {
      what: 'SQLite full under 200 tx/s: wall / own idle wall',
      salvor: busy.wall_s,
      peer: own.full.wall_s,
      goal: 1.5,
      missing: '',
    },
    {
      what: 'SQLite restore: wall / restic',
      salvor: own.restore.wall_s,
      peer: other?.restore.wall_s ?? null,
      goal: 1,
      missing,
    },
    {
      what: 'SQLite full: peak Pss MB / 256',
      salvor: Math.max(own.full.peak_mb, busy.peak_mb),
      peer: 256,
      goal: 1,
      missing: '',
    },
    { what: 'SQLite restore: peak Pss MB / 256', salvor: own.restore.peak_mb, peer: 256, goal: 1, missing: '' },
  ]
}

function configuration(db: string): string {
  return `stores: { local: { kind: local, path: ./backups } }
encryption: { keyring_file: ./keys.json }
worker: { threads: 2 }
sources:
  clinic: { engine: sqlite, path: ${db}, verify: { full: none, incremental: none } }
`
}
