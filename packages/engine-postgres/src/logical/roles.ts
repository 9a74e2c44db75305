import { COMMAND_IDLE_MS } from '../connect/session.ts'
import type { Link } from '../protocol/link.ts'
import { ServerError } from '../protocol/server-error.ts'
import { statementsOf } from './statements.ts'

export interface RolesMade {
  readonly made: number
  /** Statements that the server did not take, other than making a role that is there. */
  readonly refused: number
  /** SQLSTATE of the first of them. */
  readonly first: string | null
}

const THERE_ALREADY = '42710'
/** Tablespaces are folders of another machine; what came from there goes into the default one. */
const PASSED_OVER = /^(?:CREATE|ALTER|GRANT .* ON|REVOKE .* ON|COMMENT ON) TABLESPACE\b/s

/** Runs the statements of pg_dumpall, those of roles and their settings. One that fails does not keep the others. */
export async function makeRoles(link: Link, sql: string, signal: AbortSignal): Promise<RolesMade> {
  let made = 0
  let refused = 0
  let first: string | null = null
  for (const statement of statementsOf(sql)) {
    if (PASSED_OVER.test(statement)) continue
    try {
      await link.rows(statement, COMMAND_IDLE_MS, signal)
      if (statement.startsWith('CREATE ROLE')) made++
    } catch (error) {
      if (!(error instanceof ServerError) || error.fatal) throw error
      if (error.sqlState === THERE_ALREADY) continue
      refused++
      first ??= error.sqlState
    }
  }
  return { made, refused, first }
}
