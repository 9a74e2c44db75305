import type { EngineContext, SnapshotFacts } from '@salvor/shared/ports/engine'
import { clientProgram, type ClientProgram } from './programs.ts'

/** A pg_restore that reads what this backup's pg_dump wrote. PROGRAM_MISSING. */
export function restoreProgram(
  { source, server_programs }: EngineContext,
  facts: SnapshotFacts['engine_facts'],
): Promise<ClientProgram> {
  const { dump_version: version } = facts
  const major = typeof version === 'string' ? Number.parseInt(version, 10) : Number.NaN
  return clientProgram(source, 'pg_restore', Number.isInteger(major) ? major : 13, server_programs)
}
