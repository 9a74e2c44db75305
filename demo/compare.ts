import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { PgWriter } from '@salvor/testkit/real/postgres-load'
import { clinicRows, clinicState } from '@salvor/testkit/real/postgres-load'
import { startRestored } from '@salvor/testkit/real/postgres'
import type { Writer } from '@salvor/testkit/real/sqlite-writer'
import { salvor } from './salvor-process.ts'
import type { Screen } from './screen.ts'
import type { Servers } from './servers.ts'

interface Scene {
  readonly folder: string
  readonly sqlite: Writer
  readonly postgres: PgWriter
  readonly servers: Servers
  readonly screen: Screen
}

/**
 * Restores the newest backup of each source from the farthest store with the command that the reader would type, and
 * compares rows: nothing may be there that the source never had, nothing missing that it had before. Gives what is wrong.
 */
export async function compareRows({ folder, sqlite, servers, screen }: Scene): Promise<string[]> {
  const from = servers.azure ? 'azure' : servers.s3 ? 's3' : 'local'
  const wrong: string[] = []
  const target = join(folder, 'back/desk.db')
  const answer = JSON.parse(await salvor(folder, 'restore', 'desk', '--from', from, '--to', target, '--json')) as {
    duration_ms: number
    recovered_to: string
  }
  const restored = countOf(target)
  const committed = (await sqlite.stats()).committed
  screen.step(
    'desk',
    'restored',
    `from ${from} in ${(answer.duration_ms / 1000).toFixed(1)} s, state of ${answer.recovered_to}`,
  )
  screen.step(
    'desk',
    'compared',
    `${restored.patients} patients, ${restored.written} of the ${committed} transactions that the writer has made by now`,
  )
  if (restored.written > committed || restored.written === 0)
    wrong.push(`desk: ${restored.written} transactions restored, ${committed} were made`)
  const folderTarget = join(folder, 'back/pgdata')
  const pg = JSON.parse(await salvor(folder, 'restore', 'clinic', '--from', from, '--to', folderTarget, '--json')) as {
    duration_ms: number
    checks: unknown[]
  }
  screen.step('clinic', 'restored', `from ${from} in ${(pg.duration_ms / 1000).toFixed(1)} s, a data folder`)
  return [...wrong, ...(await comparePostgres(folderTarget, servers, screen))]
}

/** Starts what came back, and compares it row by row: patients never change, and visits are only added. */
async function comparePostgres(folder: string, { postgres }: Servers, screen: Screen): Promise<string[]> {
  await using back = await startRestored(postgres.major, folder)
  const restored = await clinicState(back.url)
  const [mine, theirs, now] = await Promise.all([
    clinicRows(back.url, restored.lastVisit),
    clinicRows(postgres.url, restored.lastVisit),
    clinicState(postgres.url),
  ])
  const same = mine.patients === theirs.patients && mine.visits === theirs.visits
  screen.step(
    'clinic',
    'compared',
    `started: ${restored.patients} patients and ${restored.visits} of the ${now.visits} visits made by now, every row ${same ? 'equal to' : 'NOT that of'} the source`,
  )
  if (!same) return ['clinic: the restored rows are not those of the source']
  if (!restored.consistent || restored.patients === 0) return ['clinic: what came back is not consistent']
  return now.consistent ? [] : ['clinic: the source itself is not consistent']
}

function countOf(path: string): { patients: number; written: number } {
  const database = new Database(path, { readonly: true })
  try {
    return (
      database
        .prepare<[], { patients: number; written: number }>(
          "SELECT (SELECT count(*) FROM patients) AS patients, (SELECT count(*) FROM visits WHERE reason = 'writer') AS written",
        )
        .get() ?? { patients: 0, written: 0 }
    )
  } finally {
    database.close()
  }
}
