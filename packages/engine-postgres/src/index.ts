import { ask } from './ask.ts'
import { bytesOf, durationMs } from '@salvor/shared/vocabulary/amounts'
import type { Engine, EngineAdapter, EngineContext } from '@salvor/shared/ports/engine'
import { serversOf } from './connect/open-link.ts'
import { choiceOf, PostgresConfig, slotOf, walHoldBytes } from './config.ts'
import { listDatabases } from './databases/list.ts'
import { isFormerFolder } from './delta/former-folder.ts'
import { DEADLINES } from './environment.ts'
import { exportCopy } from './export/export.ts'
import { VERSION_GATES } from './incremental/gates.ts'
import { takeChanges, takeFull } from './incremental/take.ts'
import { logicalHalf } from './logical/engine.ts'
import { listDump } from './logical/list.ts'
import { proveDump } from './logical/prove.ts'
import {
  assertDumpTarget,
  assertNoDump,
  assertNotStarted,
  isLogical,
  restoreDump,
  streamDump,
} from './logical/restore.ts'
import { isServerUrl } from './logical/target-server.ts'
import { offlineSnapshot } from './offline-snapshot.ts'
import { merge } from './merge.ts'
import { assertProvable, probe } from './probe.ts'
import { prove } from './prove.ts'
import { setUp } from './set-up.ts'
import { assertRecoverable, recover } from './recovery/recover.ts'
import { restore } from './restore.ts'
import { restoreStream } from './stream/restore-stream.ts'
import { assertTarget } from './target.ts'
import { walSource } from './wal/source.ts'

/** What a host keeps too much in the meantime is little beside max_slot_wal_keep_size. */
const OTHER_SLOTS_MS = 10_000

type LocalHalf = Pick<
  Engine,
  | 'assertTarget'
  | 'offlineSnapshot'
  | 'merge'
  | 'restore'
  | 'restoreStream'
  | 'assertRecoverable'
  | 'recover'
  | 'prove'
  | 'askRestored'
  | 'list'
  | 'export'
>

/** What needs no server: a source that the configuration no longer names can be restored and proven. */
function localHalf(context: EngineContext, database: () => Promise<string>): LocalHalf {
  return {
    assertTarget: async (target, inPlace, laidOver) => {
      if (laidOver) assertNoDump(laidOver.engine_facts)
      if (isServerUrl(target)) await assertDumpTarget(target, inPlace)
      else if (!laidOver || !(await isFormerFolder(target, laidOver))) await assertTarget(target, inPlace)
    },
    offlineSnapshot: (target, sink, signal) => offlineSnapshot(context, target, sink, signal),
    merge: (full, request, sink, signal) => merge(context, full, request, sink, signal),
    restore: (content, request, signal) =>
      isLogical(request.engine_facts)
        ? restoreDump(context, content, request, signal)
        : restore(context, content, request, signal),
    restoreStream: (content, request, sink, signal) =>
      (isLogical(request.engine_facts) ? streamDump : restoreStream)(context, content, request, sink, signal),
    assertRecoverable: async (facts) => {
      assertNotStarted(facts)
      await assertRecoverable(context, facts['server_version_num'])
    },
    recover: (restored, recovery, signal) => recover(context, restored, recovery, signal),
    list: (content, request, signal) =>
      (isLogical(request.engine_facts) ? listDump : listDatabases)(context, content, request, signal),
    export: (request, signal) => exportCopy(context, request, signal),
    prove: async (restored, checks, facts, signal) =>
      await (isLogical(facts) ? proveDump : prove)(
        context,
        { folder: restored, checks, facts, database: await database() },
        signal,
      ),
    askRestored: async (folder, sql, recovery, signal) =>
      await ask(context, { folder, sql, recovery, database: await database() }, signal),
  }
}

function open(config: PostgresConfig, context: EngineContext): Engine {
  const { incrementals } = config
  const source = { url: config.url, passwordFile: config.password_file ?? null }
  const maxWalHold = walHoldBytes(config)
  const env = { source, context, deadlines: DEADLINES, maxWalHold, incrementals, versionGates: VERSION_GATES }
  const local = localHalf(context, async () => (await serversOf(env)).addresses[0]!.database)
  if (config.method === 'logical') return { ...local, ...logicalHalf(env, choiceOf(config)) }
  const walEnv = {
    ...env,
    slot: slotOf(config, context.source),
    unboundedSlot: config.unbounded_slot === 'accept',
    spoolBytes: bytesOf(config.wal.spool),
    tailMs: durationMs(config.wal.tail),
    otherSlotsMs: OTHER_SLOTS_MS,
    acknowledge: config.wal.acknowledge,
    synchronous: config.wal.synchronous,
  }
  return {
    wal: walSource(walEnv),
    probe: (signal) => probe(walEnv, signal),
    assertProvable: (signal) => assertProvable(env, signal),
    snapshot: (sink, signal) => takeFull(env, sink, signal),
    snapshotChanges: (parent, sink, options, signal) => takeChanges(env, parent, sink, signal, options),
    ...local,
  }
}

function openForRestore(context: EngineContext): Engine {
  const gone = () => Promise.reject(new TypeError('opened for a restore: there is no server'))
  return { probe: gone, snapshot: gone, ...localHalf(context, async () => 'postgres') }
}

export const adapter: EngineAdapter<PostgresConfig> = {
  kind: 'postgres',
  schema: PostgresConfig,
  secrets: ['url'],
  artifact: 'tar',
  incremental_artifact: 'tar',
  streams: 'wal',
  types: ['full', 'incremental'],
  merges: true,
  limits: ({ method }) => (method === 'logical' ? { types: ['full'], called: 'postgres by method: logical' } : null),
  keeps_former: true,
  compresses_at_source: true,
  gives_way: true,
  variables: ['HOME', 'PGPASSFILE', 'PGSERVICEFILE', 'PGSYSCONFDIR'],
  setUp,
  open,
  openForRestore,
}
