import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ReportOf } from './child/messages.ts'

export interface FailureScene {
  readonly source: string
  /** The file that was worked on. */
  readonly what: string
  /** How long a lock was waited for. */
  readonly waited_ms: number
  /** Where the copies of fallback routes go, for a full disk. */
  readonly scratch: string
}

/** What SQLite or the system said about a source, as an error of the port. */
export function sourceFailure(scene: FailureScene): (failed: ReportOf<'failed'>) => SalvorError {
  return ({ code, text }) => {
    const { source, what } = scene
    const cause = new Error(`${code}: ${text}`)
    const unreadable = (reason: string) => new SalvorError('SOURCE_UNREADABLE', { source, what, reason }, cause)
    switch (kindOf(code)) {
      case 'locked':
        return new SalvorError('SOURCE_LOCKED', { source, seconds: String(Math.round(scene.waited_ms / 1000)) }, cause)
      case 'missing':
        return new SalvorError('SOURCE_MISSING', { source, what }, cause)
      case 'foreign':
        return new SalvorError('SOURCE_NOT_A_DATABASE', { source, what }, cause)
      case 'damaged':
        return new SalvorError('SOURCE_DAMAGED', { source, reason: text }, cause)
      case 'replaced':
        return new SalvorError('SOURCE_CHANGED', { source }, cause)
      case 'full':
        return new SalvorError('DISK_FULL', { what: scene.scratch }, cause)
      case 'read-only':
        return unreadable('the file or its folder is read-only here, and a database in WAL mode needs both writable')
      case 'denied':
        return unreadable('the user that runs Salvor may not read and write it')
      case 'folder':
        return unreadable('it is not a file')
      case 'io':
        return unreadable(`${code} (${text})`)
      default:
        return new SalvorError('INTERNAL', { what: `SQLite said ${code}` }, cause)
    }
  }
}

/** What the file system said while a source was read, as an error of the port; others pass through. */
export function readingFailure(scene: FailureScene, error: unknown): SalvorError {
  if (error instanceof SalvorError || !(error instanceof Error) || !('code' in error)) return asSalvorError(error)
  return sourceFailure(scene)({ report: 'failed', code: String(error.code), text: error.message })
}

type Kind =
  | 'locked'
  | 'missing'
  | 'foreign'
  | 'damaged'
  | 'replaced'
  | 'full'
  | 'read-only'
  | 'denied'
  | 'folder'
  | 'io'

const KINDS: readonly (readonly [RegExp, Kind])[] = [
  [/^SQLITE_(BUSY|PROTOCOL)/, 'locked'],
  [/^(ENOENT|ENOTDIR)$/, 'missing'],
  [/^SQLITE_NOTADB$/, 'foreign'],
  [/^SQLITE_(CORRUPT|FORMAT)/, 'damaged'],
  [/^EREPLACED$/, 'replaced'],
  [/^(SQLITE_FULL|ENOSPC|EDQUOT)$/, 'full'],
  [/^(SQLITE_READONLY\w*|EROFS)$/, 'read-only'],
  [/^(EACCES|EPERM|SQLITE_PERM|SQLITE_AUTH)$/, 'denied'],
  [/^EISDIR$/, 'folder'],
  [/^(SQLITE_(CANTOPEN|IOERR)\w*|E[A-Z]+)$/, 'io'],
]

function kindOf(code: string): Kind | undefined {
  if (code.startsWith('ERR_')) return undefined
  return KINDS.find(([form]) => form.test(code))?.[1]
}
