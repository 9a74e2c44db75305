import { accessSync, constants, cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type PostgresMajor = 13 | 14 | 15 | 16 | 17 | 18

/** The user a server runs as when the tests run as root, because PostgreSQL refuses root. Empty otherwise. */
export const serverUser: { readonly uid?: number; readonly gid?: number } =
  process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

const folders = new Map<PostgresMajor, string>()

/** The folder with initdb and postgres of a major: TEST_POSTGRES_<major>_BIN, the npm package, or the distribution's. */
export async function postgresPrograms(major: PostgresMajor): Promise<string> {
  const known = folders.get(major)
  if (known !== undefined) return known
  const variable = variableOf(major)
  const candidates = [process.env[variable], await fromNpm(major), distribution(major)]
  const found = candidates.find((bin) => bin !== undefined && existsSync(join(bin, 'initdb')))
  if (found === undefined) {
    throw new Error(
      `No PostgreSQL ${major} for tests: set ${variable}, install pg${major}-${process.platform}-${process.arch} (pnpm install), or apt install postgresql-${major}`,
    )
  }
  const bin = runsAs(join(found, 'postgres')) ? found : reachableCopy(found)
  folders.set(major, bin)
  return bin
}

const variableOf = (major: PostgresMajor): string => `TEST_POSTGRES_${major}_BIN`
const distribution = (major: PostgresMajor): string => `/usr/lib/postgresql/${major}/bin`

/** Whether `postgresPrograms` will find any. */
export function hasPrograms(major: PostgresMajor): boolean {
  const npm = `../../node_modules/pg${major}-${process.platform}-${process.arch}/native/bin`
  const places = [process.env[variableOf(major)], fileURLToPath(new URL(npm, import.meta.url)), distribution(major)]
  return places.some((bin) => bin !== undefined && existsSync(join(bin, 'initdb')))
}

async function fromNpm(major: PostgresMajor): Promise<string | undefined> {
  try {
    const paths = (await import(`pg${major}-${process.platform}-${process.arch}`)) as { postgres: string }
    accessSync(paths.postgres, constants.X_OK)
    return dirname(paths.postgres)
  } catch {
    return undefined
  }
}

function runsAs(program: string): boolean {
  return spawnSync(program, ['--version'], { ...serverUser, stdio: 'ignore' }).status === 0
}

/** A checkout under /root cannot be traversed by the server's user: a copy that lives as long as this process can. */
function reachableCopy(bin: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'salvor-pg-programs-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  spawnSync('chmod', ['755', folder])
  cpSync(dirname(bin), join(folder, 'pg'), { recursive: true, verbatimSymlinks: true })
  const copy = join(folder, 'pg', 'bin')
  if (!runsAs(join(copy, 'postgres'))) throw new Error(`${bin}/postgres does not run here, nor does a copy of it`)
  return copy
}
