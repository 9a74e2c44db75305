import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ServerError } from '../protocol/server-error.ts'

interface Lack {
  readonly says: RegExp
  readonly missing: (found: RegExpExecArray) => string
  readonly fix: string
}

const FIX = 'install it for the PostgreSQL named in verifier.postgres_bin, or name another one there'

/** What a server says (in English: lc_messages is C) when this machine lacks something that the source's has. */
const LACKS: readonly Lack[] = [
  {
    says: /could not (?:access file|load library) "(?:\$libdir\/)?([\w./-]+)"/,
    missing: ([, library]) => `the extension library ${library}`,
    fix: FIX,
  },
  {
    says: /(?:"?([\w-]+)"? )?must be (?:pre)?loaded (?:via|through) (?:"?shared_preload_libraries|"?session_preload)/i,
    missing: ([, library]) => `an extension that is preloaded (${library ?? 'unnamed'})`,
    fix: FIX,
  },
  {
    says: /database locale is incompatible|is not recognized by setlocale|could not (?:create|open) (?:locale|collator)/i,
    missing: () => 'a locale that the database uses',
    fix: 'install the locales of the source (apt install locales-all)',
  },
  {
    says: /unrecognized configuration parameter "allow_in_place_tablespaces"/,
    missing: () => 'a minor release from August 2022 or later of PostgreSQL',
    fix: FIX,
  },
  {
    // Replay makes its folder anew, and only there.
    says: /directory "[^"]+" does not exist|could not set permissions on directory/,
    missing: () => 'the folder of a tablespace that was made while the backup was taken',
    fix: 'take another backup: salvor backup',
  },
  {
    says: /ICU is not supported in this build/,
    missing: () => 'ICU in the PostgreSQL here',
    fix: FIX,
  },
  {
    says: /(?:compressed with|compression method) (lz4|zstd|pglz|\w+) (?:is )?not supported/i,
    missing: ([, codec]) => `${codec} in the PostgreSQL here`,
    fix: FIX,
  },
]

/** The lack that keeps a copy from being judged here; null: what was said is about the copy. */
export function lackSaid(said: string, source: string): SalvorError | null {
  for (const { says, missing, fix } of LACKS) {
    const found = says.exec(said)
    if (found) return new SalvorError('CANNOT_VERIFY_HERE', { what: source, missing: missing(found), fix })
  }
  return null
}

export const cannotVerify = (error: ServerError, source: string): SalvorError | null => lackSaid(error.message, source)
