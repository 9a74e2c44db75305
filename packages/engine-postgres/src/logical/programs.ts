import { SalvorError } from '@salvor/shared/errors/salvor-error'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { programFolders } from '../sandbox/programs.ts'

export type ClientProgramName = 'pg_dump' | 'pg_dumpall' | 'pg_restore'

export interface ClientProgram {
  readonly path: string
  readonly major: number
  /** `15.18` */
  readonly version: string
}

/** Majors after the wanted one that are looked for: a newer pg_dump reads every older server. */
const NEWER = 12

/**
 * A client program that is at least as new as `major`: the nearest one, from the folders that the configuration names or those
 * of the distributions. PROGRAM_MISSING: there is none.
 */
export async function clientProgram(
  source: string,
  name: ClientProgramName,
  major: number,
  configured: readonly string[],
): Promise<ClientProgram> {
  for (let wanted = major; wanted <= major + NEWER; wanted++) {
    for (const folder of programFolders(wanted, configured)) {
      const found = await asked(join(folder, name))
      if (found !== null && found.major === wanted) return found
    }
  }
  throw new SalvorError('PROGRAM_MISSING', { source, program: name, major: String(major) })
}

/** The very release that another program of the same folder is of. */
export const besides = (program: ClientProgram, name: ClientProgramName): ClientProgram => ({
  ...program,
  path: join(program.path, '..', name),
})

/** Null: there is no such program, or it does not run here. */
function asked(path: string): Promise<ClientProgram | null> {
  const { promise, resolve } = Promise.withResolvers<ClientProgram | null>()
  const options = { cwd: '/', timeout: 30_000, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' } }
  execFile(path, ['--version'], options, (error, stdout) => {
    const version = /\(PostgreSQL\) (\d+[\w.]*)/.exec(stdout)?.[1]
    resolve(error || version === undefined ? null : { path, version, major: Number.parseInt(version, 10) })
  })
  return promise
}
