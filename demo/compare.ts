import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { PgWriter } from '@salvor/testkit/real/postgres-load'
import { clinicState } from '@salvor/testkit/real/postgres-load'
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
  const now = await clinicState(servers.postgres.url)
  screen.step(
    'clinic',
    'restored',
    `from ${from} in ${(pg.duration_ms / 1000).toFixed(1)} s, a data folder that pg_ctl starts; its rows were compared in the sandbox above`,
  )
  if (!now.consistent) wrong.push('clinic: the source itself is not consistent')
  return wrong
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
