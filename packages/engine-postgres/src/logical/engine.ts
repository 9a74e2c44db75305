import type { Engine } from '@salvor/shared/ports/engine'
import type { Environment } from '../environment.ts'
import { dump } from './dump.ts'
import { DUMP_DEADLINES, type LogicalEnvironment } from './environment.ts'
import { assertDumpProvable, probeLogical } from './probe.ts'
import { assertDumpTarget } from './restore.ts'
import type { Choice } from './server.ts'

/** The half of an engine that reads the source, for `method: logical`: fulls only, by pg_dump. */
export function logicalHalf(
  env: Environment,
  choice: Choice,
): Pick<Engine, 'probe' | 'assertProvable' | 'snapshot' | 'assertTarget'> {
  const logical: LogicalEnvironment = { ...env, choice, dumpDeadlines: DUMP_DEADLINES }
  return {
    probe: (signal) => probeLogical(logical, signal),
    assertProvable: (signal) => assertDumpProvable(logical, signal),
    snapshot: (sink, signal) => dump(logical, sink, signal),
    assertTarget: assertDumpTarget,
  }
}
