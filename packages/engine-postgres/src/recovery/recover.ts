import { mkdir, mkdtemp, readFile, readdir, rm, writeFile, lchown, lstat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { EngineContext, RecoveryRequest } from '@salvor/shared/ports/engine'
import { elapsedMs } from '@salvor/shared/vocabulary/instant'
import { lsnText, lsnValue } from '@salvor/shared/vocabulary/lsn'
import { shownTarget, type RecoveryReached } from '@salvor/shared/vocabulary/recovery'
import { CLEANLY_SHUT_DOWN, readControlFile, type ControlFile } from '../data-folder/control-file.ts'
import { listTree } from '../data-folder/settle.ts'
import { serverPrograms, type ServerPrograms } from '../sandbox/programs.ts'
import { IN_PLACE_TABLESPACES, ownSettings, type ServerSettings } from '../sandbox/server-settings.ts'
import type { ServerUser } from '../sandbox/user.ts'
import { seenPlace, WatchedProcess, type Place } from '../sandbox/watched-process.ts'
import { assertStoppedDataFolder } from '../target.ts'
import { handOver } from './hand-over.ts'
import { readRecoveryLog, type RecoveryLog } from './server-log.ts'

const LOOK_EVERY_MS = 100

export type Recovering = Pick<RecoveryRequest, 'target' | 'pause' | 'last_commit_lsn'>

/** NO_SERVER_HERE, before anything is restored. */
export async function assertRecoverable(context: EngineContext, version: unknown): Promise<void> {
  await using _ = await programsFor(context, Math.floor(Number(version) / 10_000))
}

/** Runs a server on a restored folder until it has replayed all that it was told to, and stops it in order. */
export async function recover(
  context: EngineContext,
  restored: string,
  recovery: Recovering | null,
  signal: AbortSignal,
): Promise<RecoveryReached> {
  const data = resolve(restored)
  await assertStoppedDataFolder(data)
  const control = await readControlFile(data)
  const major = Number((await readFile(join(data, 'PG_VERSION'), 'latin1')).trim())
  await using handed = await handOver(data)
  await using programs = await programsFor(context, major, handed.user)
  const place: Place = { folder: await mkdtemp(join(context.scratch_dir, 'recovery-')), data }
  const settings = {
    ...ownSettings(major, seenPlace(place).folder),
    ...(await recoverySettings(data, control, recovery)),
  }
  await furnish(place, handed.user)
  const began = context.now()
  const logFile = join(place.folder, 'server.log')
  await using server = startServer(place, settings, { bin: programs.bin, logFile, user: handed.user })
  const log = await reached(context, server, logFile, signal)
  if (server.running) server.signal('INT')
  await server.end(signal)
  const after = await readControlFile(data)
  await rm(join(data, 'postmaster.opts'), { force: true })
  assertReached(data, recovery, log, after)
  return report(log, after, elapsedMs(began, context.now()))
}

async function programsFor(context: EngineContext, major: number, user?: ServerUser): Promise<ServerPrograms> {
  try {
    return await serverPrograms(context.source, major, context.server_programs, user)
  } catch (error) {
    if (!(error instanceof SalvorError) || error.code !== 'CANNOT_VERIFY_HERE') throw error
    const { missing = `PostgreSQL ${major}`, fix = error.hint } = error.facts
    throw new SalvorError('NO_SERVER_HERE', { missing, fix }, error)
  }
}

/** Written to a disk that is kept, as the source's server would. */
async function recoverySettings(
  data: string,
  { parameters }: ControlFile,
  recovery: Recovering | null,
): Promise<ServerSettings> {
  const folder = join(data, 'pg_tblspc')
  const inside = await Promise.all((await readdir(folder)).map((name) => lstat(join(folder, name))))
  return {
    ...parameters,
    data_directory: seenPlace({ folder: '', data }).data,
    external_pid_file: '',
    fsync: 'on',
    full_page_writes: 'on',
    // A server that lets nobody in does not mind other settings than the source's; one that cannot, does not pause.
    hot_standby: recovery?.pause ? 'on' : 'off',
    log_line_prefix: '',
    log_min_messages: 'warning',
    ...(inside.some((entry) => entry.isDirectory()) && IN_PLACE_TABLESPACES),
  }
}

/** Its own few files; nobody may log in. */
async function furnish({ folder }: Place, { uid, gid }: ServerUser): Promise<void> {
  await mkdir(join(folder, 'socket'), 0o700)
  await writeFile(join(folder, 'postgresql.conf'), '')
  await writeFile(join(folder, 'pg_hba.conf'), 'local all all reject\n')
  await writeFile(join(folder, 'pg_ident.conf'), '')
  if (uid === undefined) return
  for await (const path of listTree(folder)) await lchown(path, uid, gid!)
}

function startServer(
  place: Place,
  settings: ServerSettings,
  { bin, logFile, user }: { readonly bin: string; readonly logFile: string; readonly user: ServerUser },
): WatchedProcess {
  const seen = seenPlace(place)
  // As arguments they win over postgresql.auto.conf, which says how far to recover.
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return new WatchedProcess({
    program: join(bin, 'postgres'),
    args: ['-D', seen.data, '-c', `config_file=${seen.folder}/postgresql.conf`, ...args],
    place,
    logFile,
    input: '/dev/null',
    user,
  })
}

/** Until it says that it is there, or ends by itself. */
async function reached(
  context: EngineContext,
  server: WatchedProcess,
  logFile: string,
  signal: AbortSignal,
): Promise<RecoveryLog> {
  for (;;) {
    signal.throwIfAborted()
    // First: what an ended server said last is in the log.
    const { running } = server
    const log = readRecoveryLog(await readFile(logFile, 'utf8'))
    if (log.ready || log.paused || log.fatal !== null || !running) return log
    context.progress({ phase: 'recover', done_bytes: 0, total_bytes: null })
    await sleep(LOOK_EVERY_MS)
  }
}

function assertReached(target: string, recovery: Recovering | null, log: RecoveryLog, after: ControlFile): void {
  const wanted = recovery === null ? 'the end of the backup' : shownTarget(recovery.target)
  const failed = (reason: string) => new SalvorError('RECOVERY_FAILED', { target, wanted, reason })
  if (log.fatal !== null || !(log.ready || log.paused)) throw failed(inWords(log.fatal ?? 'it ended without a word'))
  const commit = recovery?.last_commit_lsn ?? null
  if (commit !== null && (log.lsn === null || lsnValue(log.lsn) < lsnValue(commit)))
    throw failed(`the WAL could be replayed up to ${log.lsn ?? 'nothing'}, and its last commit is at ${commit}`)
  if (!CLEANLY_SHUT_DOWN.includes(after.state)) throw failed('it did not stop in order')
}

function inWords(fatal: string): string {
  if (/recovery ended before configured recovery target was reached/.test(fatal))
    return `WAL is missing or damaged (${fatal})`
  return fatal
}

function report(log: RecoveryLog, after: ControlFile, elapsed: number): RecoveryReached {
  const { stopped, xid, newTimeline, lastCommitAt: last_commit_at } = log
  const state = log.paused ? 'paused' : newTimeline === null ? 'consistent' : 'promoted'
  const { position } = after.replayed
  return {
    state,
    stopped,
    last_commit_at,
    xid,
    lsn: log.lsn ?? (position === 0n ? null : lsnText(position)),
    timeline: newTimeline ?? (log.paused ? after.replayed.timeline : after.timeline),
    duration_ms: Math.round(elapsed),
  }
}
