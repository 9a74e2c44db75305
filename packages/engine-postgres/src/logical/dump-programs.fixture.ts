import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PostgresMajor } from '@salvor/testkit/real/postgres'

const MAJORS = [13, 14, 15, 16, 17, 18] as const satisfies readonly PostgresMajor[]
const fetched = (major: number): string =>
  fileURLToPath(new URL(`../../../../.cache/postgresql/${major}/bin`, import.meta.url))
const hasDump = (bin: string | undefined): bin is string => bin !== undefined && existsSync(join(bin, 'pg_dump'))

/** Folders with pg_dump that Salvor does not find by itself: TEST_POSTGRES_<major>_NEWER_BIN, or what was fetched for tests. */
export const CLIENT_FOLDERS: readonly string[] = MAJORS.flatMap(
  (major) => [process.env[`TEST_POSTGRES_${major}_NEWER_BIN`], fetched(major)].find(hasDump) ?? [],
)

/** The newest major that a pg_dump of this machine can dump; undefined: there is none. */
export const newestHere: PostgresMajor | undefined = MAJORS.findLast((major) =>
  [`/usr/lib/postgresql/${major}/bin`, process.env[`TEST_POSTGRES_${major}_NEWER_BIN`], fetched(major)].some(hasDump),
)
