import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { SnapshotSink } from '@salvor/shared/ports/artifact'
import type { ParentBackup, SnapshotFacts } from '@salvor/shared/ports/engine'
import type { Environment } from '../environment.ts'
import type { Link } from '../protocol/link.ts'
import { ServerError } from '../protocol/server-error.ts'
import type { ServerFacts } from '../server-facts.ts'
import { snapshot, type MakePlan } from '../snapshot.ts'
import { addAlikeLines } from './alike-lines.ts'
import { DeltaSink } from './delta-sink.ts'
import { isStateOf, methodFor, serverRefused, type IncrementalSettings, type Method } from './method.ts'
import { ParentFile, ParentUnknown } from './parent-file.ts'
import { RecordingSink } from './recording-sink.ts'
import { incrementalSettings, parentState, settingsFacts, timelineHistory } from './server.ts'
import { uploadManifest } from './upload-manifest.ts'

/** What a plan settles once the server is known. */
interface Chosen {
  settings?: IncrementalSettings
  method?: Method
  into?: RecordingSink | DeltaSink
}

/** There is nothing to take. */
class Unchanged extends Error {}

/** A full on which incrementals can stand: by the server's means where it will be able to, else by digests of all pages. */
export async function takeFull(env: Environment, sink: SnapshotSink, signal: AbortSignal): Promise<SnapshotFacts> {
  await using stack = new AsyncDisposableStack()
  const chosen: Chosen = {}
  const plan: MakePlan = async (link, server) => {
    const settings = await incrementalSettings(link, server, signal)
    const wantsPages = settings.usualPages && !nativeLater(env, settings)
    const into = stack.use(new RecordingSink(sink, env.context.scratch_dir, wantsPages))
    Object.assign(chosen, { settings, into })
    return { sink: into, incremental: false }
  }
  const facts = await snapshot(env, sink, signal, plan)
  return await finished(facts, chosen)
}

function nativeLater({ incrementals, versionGates }: Environment, settings: IncrementalSettings): boolean {
  if (incrementals === 'native') return true
  return incrementals === 'auto' && serverRefused(settings, versionGates) === null
}

async function finished(facts: SnapshotFacts, { settings, into }: Chosen): Promise<SnapshotFacts> {
  const digests = await into!.finish()
  return { ...facts, engine_facts: { ...facts.engine_facts, ...settingsFacts(settings!) }, digests }
}

/**
 * What changed since the parent. FULL_NEEDED where this server, or this parent, does not allow it. Null: its WAL ends where the
 * parent's does, as that of a standby whose primary is quiet, and `skipUnchanged`.
 */
export async function takeChanges(
  env: Environment,
  parent: ParentBackup,
  sink: SnapshotSink,
  signal: AbortSignal,
  { skipUnchanged }: { readonly skipUnchanged: boolean },
): Promise<SnapshotFacts | null> {
  const needsFull: NeedsFull = (reason, cause) =>
    new SalvorError('FULL_NEEDED', { source: env.context.source, parent: parent.id, reason }, cause)
  try {
    using file = new ParentFile(parent.digests)
    const taking = { parent, file, sink, needsFull, skipUnchanged }
    try {
      return await changes(env, taking, signal)
    } catch (error) {
      if (!isStuck(error)) throw error
      // The summarizer may only have been slow. Nothing was sent yet.
      const scratch_dir = join(env.context.scratch_dir, 'again')
      await mkdir(scratch_dir, { mode: 0o700 })
      return await changes({ ...env, context: { ...env.context, scratch_dir } }, taking, signal)
    }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof Unchanged) return null
    throw error instanceof ParentUnknown ? needsFull(error.message, error) : error
  }
}

type NeedsFull = (reason: string, cause?: unknown) => SalvorError

interface Taking {
  readonly parent: ParentBackup
  readonly file: ParentFile
  readonly sink: SnapshotSink
  readonly needsFull: NeedsFull
  readonly skipUnchanged: boolean
}

async function changes(env: Environment, taking: Taking, signal: AbortSignal): Promise<SnapshotFacts> {
  const { file, sink, needsFull } = taking
  const { scratch_dir } = env.context
  await using stack = new AsyncDisposableStack()
  const chosen: Chosen = {}
  const plan: MakePlan = async (link, server) => {
    const { settings, method } = await choose(env, taking, { link, server }, signal)
    if (method.kind === 'full') throw needsFull(method.because)
    const native = method.kind === 'native'
    if (native) await uploaded(link, taking, signal)
    const into = stack.use(
      native ? new RecordingSink(sink, scratch_dir, false) : new DeltaSink(sink, scratch_dir, file),
    )
    Object.assign(chosen, { settings, method, into })
    return { sink: into, incremental: native }
  }
  const taken = await snapshot(env, sink, signal, plan).catch((error: unknown) => {
    throw serverWantsFull(error, needsFull) ?? error
  })
  const facts = await finished(taken, chosen)
  const { into, method } = chosen
  const kept = {
    ...facts,
    engine_facts: { ...facts.engine_facts, incremental: method!.kind },
    digests_alike: alikeDigests(taking, into!, facts.digests!),
  }
  if (!(into instanceof DeltaSink) || method?.kind !== 'pages') return kept
  const notice = `all pages were read and compared (${method.because}): ${into.said}`
  return { ...kept, notices: [notice, ...facts.notices] }
}

/** For when everything is stored; the parent is closed by then. */
function alikeDigests({ parent, file }: Taking, { alike, manifestAt }: RecordingSink | DeltaSink, own: string) {
  const base = { file: parent.digests, from: file.manifestAt }
  return () => {
    if (manifestAt !== null) addAlikeLines(alike, { file: own, from: manifestAt }, base)
    return alike.ranges()
  }
}

async function uploaded(link: Link, { file, needsFull }: Taking, signal: AbortSignal): Promise<void> {
  try {
    await uploadManifest(link, file.manifest(), signal)
  } catch (error) {
    throw error instanceof ServerError && !error.fatal ? needsFull(error.message, error) : error
  }
}

async function choose(
  { context, incrementals: wish, versionGates: gates }: Environment,
  { parent, file, skipUnchanged }: Taking,
  { link, server }: { readonly link: Link; readonly server: ServerFacts },
  signal: AbortSignal,
): Promise<{ settings: IncrementalSettings; method: Method }> {
  const state = parentState(parent.engine_facts, parent.consistent_at, file.digesting !== null)
  if (skipUnchanged && isStateOf(state, server)) throw new Unchanged()
  const settings = await incrementalSettings(link, server, signal)
  const method = methodFor({
    server: settings,
    parent: state,
    history: await timelineHistory(link, server.timeline, signal),
    wish,
    gates,
    now: context.now(),
  })
  return { settings, method }
}

/** `object_not_in_prerequisite_state`: a hole in the summaries, a timeline that is not the parent's, a standby that is behind. */
const NOT_POSSIBLE = '55000'

function serverWantsFull(error: unknown, needsFull: NeedsFull): SalvorError | null {
  const said = error instanceof SalvorError ? error.cause : error
  return said instanceof ServerError && said.sqlState === NOT_POSSIBLE ? needsFull(said.message, error) : null
}

/** In the words of an English server; in another language a full is taken at once. */
function isStuck(error: unknown): boolean {
  return error instanceof SalvorError && error.code === 'FULL_NEEDED' && /not progressing/.test(error.message)
}
