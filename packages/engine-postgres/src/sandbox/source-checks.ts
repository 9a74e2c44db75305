import { elapsedMs, type Instant } from '@salvor/shared/vocabulary/instant'
import { SOURCE_CHECK, type Check } from '@salvor/shared/vocabulary/verification'
import type { Link, ResultSet } from '../protocol/link.ts'
import { ServerError } from '../protocol/server-error.ts'
import type { Sandbox } from './sandbox.ts'
import { codeOf, throwIfMissing } from './tables.ts'

const CHECK_MS = 600_000
const ANSWER_SLACK_MS = 60_000
const LONGEST_NAME = 80

export interface SourceChecks {
  readonly source: string
  readonly database: string
  readonly checks: readonly string[]
}

/** The checks of the configuration. One passes when it gives exactly one row whose first column is true. */
export async function runSourceChecks(
  sandbox: Sandbox,
  { source, database, checks }: SourceChecks,
  now: () => Instant,
  signal: AbortSignal,
): Promise<Check[]> {
  const results: Check[] = []
  for (const sql of checks) {
    const began = now()
    const verdict = await runOne(sandbox, source, database, sql, signal)
    results.push({
      name: `${SOURCE_CHECK}${nameOf(sql)}`,
      ...verdict,
      duration_ms: Math.round(elapsedMs(began, now())),
    })
  }
  return results
}

type Verdict = Pick<Check, 'ok' | 'detail'>

async function runOne(
  sandbox: Sandbox,
  source: string,
  database: string,
  sql: string,
  signal: AbortSignal,
): Promise<Verdict> {
  try {
    await using link = await sandbox.connect(database, signal)
    await link.rows(`SET statement_timeout = ${CHECK_MS}`, ANSWER_SLACK_MS, signal)
    return judge(await answers(link, sql, signal))
  } catch (error) {
    signal.throwIfAborted()
    throwIfMissing(error, source)
    return { ok: false, detail: failureOf(error, database) }
  }
}

const answers = (link: Link, sql: string, signal: AbortSignal): Promise<ResultSet[]> =>
  link.rows(sql, CHECK_MS + ANSWER_SLACK_MS, signal, 1)

function judge(sets: readonly ResultSet[]): Verdict {
  const [set] = sets
  if (set === undefined || sets.length > 1) return { ok: false, detail: 'a check is one SELECT' }
  if (set.count !== 1) return { ok: false, detail: `${set.count} rows instead of one` }
  const first = set.rows[0]?.[0]
  return first === 't' || first === 'true'
    ? { ok: true, detail: 'true' }
    : { ok: false, detail: first === null || first === undefined ? 'null' : 'not true' }
}

function failureOf(error: unknown, database: string): string {
  if (error instanceof ServerError && error.sqlState === '57014') return `no answer within ${CHECK_MS / 1000} s`
  if (error instanceof ServerError && error.sqlState === '3D000') return `there is no database ${database}`
  return codeOf(error)
}

const nameOf = (sql: string): string => {
  const line = sql.replace(/\s+/g, ' ').trim()
  return line.length <= LONGEST_NAME ? line : `${line.slice(0, LONGEST_NAME - 1)}…`
}
