import Database from 'better-sqlite3'
import { measure, medianCost, type Cost } from './measure.ts'
import type { Row } from './report.ts'
import { resticIn } from './restic.ts'
import { bytesIn, type Workplace } from './workplace.ts'

export interface ChangesOptions {
  /** A clinic database in the workplace, which has a salvor.yaml for it as source `clinic`. */
  readonly db: string
  readonly restic: string | null
  readonly rounds: number
  /** Incrementals on the full that is restored at the end. */
  readonly links: number
  readonly say: (line: string) => void
}

/** Cost of a backup of what changed, and the bytes that it added. */
interface Added extends Cost {
  readonly stored: number
}

/** Incrementals after 1 % of rows changed and after 1 % more, and a long chain restored, beside restic, which has one snapshot for each. */
export async function benchChanges(place: Workplace, options: ChangesOptions): Promise<Row[]> {
  const own = { scattered: [] as Added[], appended: [] as Added[] }
  const peer = { scattered: [] as Added[], appended: [] as Added[] }
  for (let round = 0; round < options.rounds; round += 1) {
    options.say(`SQLite changes, round ${round + 1} of ${options.rounds}`)
    const both = await begin(place, options)
    for (const [kind, sql] of [
      ['scattered', scattered(100, round)],
      ['appended', APPENDED],
    ] as const) {
      change(options.db, sql)
      own[kind].push(await both.salvor())
      if (both.restic) peer[kind].push(await both.restic())
    }
  }
  const chain = await restoreChain(place, options)
  const rows = (kind: 'scattered' | 'appended', name: string, goal: number | null): Row[] => {
    const [mine, other] = [medianAdded(own[kind]), options.restic === null ? null : medianAdded(peer[kind])]
    return [
      row(`SQLite ${name}: stored MB / restic`, mine.stored / 1e6, other && other.stored / 1e6, goal),
      row(`SQLite ${name}: CPU seconds / restic`, mine.cpu_s, other && other.cpu_s, null),
    ]
  }
  return [
    ...rows('scattered', '1 % of rows changed, scattered', 0.11),
    ...rows('appended', '1 % appended', null),
    row(
      `SQLite full + ${options.links} incrementals restored: wall / restic`,
      chain.own.wall_s,
      chain.peer?.wall_s ?? null,
      1,
    ),
    row(`SQLite full + ${options.links} incrementals restored: peak Pss MB / 256`, chain.own.peak_mb, 256, 1),
  ]
}

function row(what: string, salvor: number, peer: number | null, goal: number | null): Row {
  return { what, salvor, peer, goal, missing: 'restic is not installed here' }
}

/** A full of the present state in fresh stores, and how what changed from then on is stored. */
async function begin(place: Workplace, { db, restic }: ChangesOptions) {
  place.fresh('backups')
  place.fresh('salvor-data')
  await measure(place.salvor('backup', 'clinic', '--json'))
  const run = restic === null ? null : resticIn(restic, place.fresh('restic'))
  const snapshot = run?.('backup', '--compression', 'auto', db)
  if (run && snapshot) {
    await measure(run('init'))
    await measure(snapshot)
  }
  return {
    salvor: () => added(place.path('backups'), place.salvor('backup', 'clinic', '--type', 'incremental', '--json')),
    restic: snapshot ? () => added(place.path('restic'), snapshot) : null,
    run,
  }
}

async function added(folder: string, command: Parameters<typeof measure>[0]): Promise<Added> {
  const before = bytesIn(folder)
  const cost = await measure(command)
  return { ...cost, stored: bytesIn(folder) - before }
}

async function restoreChain(place: Workplace, options: ChangesOptions) {
  options.say(`a full and ${options.links} incrementals`)
  const both = await begin(place, options)
  for (let link = 0; link < options.links; link += 1) {
    change(options.db, scattered(1_000, link))
    await both.salvor()
  }
  await both.restic?.()
  const own = await measure(place.salvor('restore', 'clinic', '--to', `${place.fresh('out')}/clinic.db`))
  const peer = both.run && (await measure(both.run('restore', 'latest', '--target', place.fresh('out'))))
  return { own, peer }
}

/** One of `every` visits is changed: each lies in a page of its own. */
function scattered(every: number, n: number): string {
  return `UPDATE visits SET reason = 'changed ${n}' WHERE id % ${every} = ${(n * 7) % every}`
}

const APPENDED = `
  INSERT INTO visits (patient_id, at, reason, findings)
    SELECT patient_id, at, reason, findings FROM visits WHERE id <= (SELECT max(id) / 100 FROM visits);
  INSERT INTO images (patient_id, kind, pixels)
    SELECT patient_id, kind, randomblob(14000) FROM images WHERE id <= (SELECT max(id) / 100 FROM images);`

function change(db: string, sql: string): void {
  const database = new Database(db)
  database.exec(sql)
  // What restic copies is the main file.
  database.pragma('wal_checkpoint(TRUNCATE)')
  database.close()
}

function medianAdded(costs: readonly Added[]): Added {
  const sorted = costs.map(({ stored }) => stored).toSorted((a, b) => a - b)
  return { ...medianCost(costs), stored: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN }
}
