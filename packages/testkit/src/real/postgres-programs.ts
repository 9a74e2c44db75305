import { accessSync, constants, cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
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
  const bin = reachable(found)
  folders.set(major, bin)
  return bin
}

export interface NewerPrograms {
  /** Besides servers it has what Debian's packages have: pg_basebackup, pg_combinebackup, pg_verifybackup, amcheck. Null: there are none. */
  readonly bin: string | null
  /** Why there are none, for a test that is skipped. */
  readonly missing: string
}

export type NewerMajor = 17 | 18
const newer = new Map<NewerMajor, NewerPrograms>()

/** Programs of a later minor than npm's: TEST_POSTGRES_<major>_NEWER_BIN, or what tools/setup/newer-postgres.mjs fetched. */
export function newerPrograms(major: NewerMajor): NewerPrograms {
  const known = newer.get(major) ?? findNewer(major)
  newer.set(major, known)
  return known
}

function findNewer(major: NewerMajor): NewerPrograms {
  const cache = new URL('../../../../.cache/postgresql/', import.meta.url)
  const fetched = fileURLToPath(new URL(`${major}/bin`, cache))
  const found = [process.env[`TEST_POSTGRES_${major}_NEWER_BIN`], fetched].find(
    (bin) => bin !== undefined && existsSync(join(bin, 'initdb')),
  )
  if (found !== undefined) return { bin: reachable(found), missing: '' }
  const reason = new URL(`${major}.missing`, cache)
  const why = existsSync(reason) ? readFileSync(reason, 'utf8').trim() : 'npm test fetches it'
  return { bin: null, missing: `no newer PostgreSQL ${major}: ${why}` }
}

const reachable = (bin: string): string => (runsAs(join(bin, 'postgres')) ? bin : reachableCopy(bin))

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
