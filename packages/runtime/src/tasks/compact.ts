import { writeChanges } from '@salvor/repository/write-changes'
import { asSalvorError, SalvorError } from '@salvor/shared/errors/salvor-error'
import type { Engine } from '@salvor/shared/ports/engine'
import type { SourceSettings } from '@salvor/shared/ports/service'
import type { Store } from '@salvor/shared/ports/store'
import type { CompactionInput, TaskTable } from '@salvor/shared/ports/tasks'
import type { ChangeSetFile } from '@salvor/shared/vocabulary/change-set'
import type { Failure } from '@salvor/shared/vocabulary/run'
import { systemIds } from '../clock.ts'
import { VERSION } from '../version.ts'
import { openChanges } from './open-changes.ts'
import { engineOfBackup, openStore, type TaskContext } from './task-context.ts'

/** What says something about the sets; anything else is about the way to them, and ends the task. */
const THEIRS: ReadonlySet<string> = new Set([
  'ARTIFACT_CORRUPT',
  'SIGNER_UNKNOWN',
  'STORE_NOT_FOUND',
  'STORE_CONFLICT',
  'MANIFEST_INVALID',
])

interface Place {
  readonly source: SourceSettings
  readonly store: Store
  readonly engine: Engine
}

/** Makes change sets of others, from what lies in the stores. Needs the key that opens them, as a restore does; the source is not asked. */
export async function compact(
  input: TaskTable['compact']['input'],
  context: TaskContext,
): Promise<TaskTable['compact']['output']> {
  const source = context.config.settings.sources.get(input.source)
  if (!source) throw new SalvorError('SOURCE_UNKNOWN', { source: input.source })
  const engine = await engineOfBackup(source.name, source.engine, { ...context, progress: () => undefined })
  await using opened = await openStore(context, input.store)
  const made: (ChangeSetFile | Failure)[] = []
  for (const one of input.compactions) {
    context.signal.throwIfAborted()
    made.push(await attempt(one, { source, engine, store: opened.store }, context))
    context.progress({ phase: 'compact', done_bytes: made.length, total_bytes: input.compactions.length })
  }
  return { made }
}

async function attempt(one: CompactionInput, place: Place, context: TaskContext): Promise<ChangeSetFile | Failure> {
  try {
    return await compactOne(one, place, context)
  } catch (thrown) {
    context.signal.throwIfAborted()
    const error = asSalvorError(thrown)
    if (!THEIRS.has(error.code)) throw error
    return error.toFailure()
  }
}

async function compactOne(
  { sets, piece, page_count }: CompactionInput,
  { source, engine, store }: Place,
  context: TaskContext,
): Promise<ChangeSetFile> {
  const { name, encrypt, plain_allowed = false } = source
  if (!engine.compactChanges) throw new SalvorError('INTERNAL', { what: `change sets of ${source.engine}` })
  const { keyring, clock, signal } = context
  await using changes = await openChanges({ sets, recovers_to: piece.to_at }, name, context, 'newest first')
  await using compacted = await engine.compactChanges(changes.increments, signal)
  if (compacted.page_count !== page_count || compacted.page_size !== piece.page_size) {
    const reason = 'it brings another state than its document says'
    throw new SalvorError('ARTIFACT_CORRUPT', { key: sets.at(-1)!.name, reason, source: name })
  }
  const rules = { keyring, encrypt, allowPlain: plain_allowed, level: 1, source: name }
  const written = { store, id: systemIds.next(), timestamp: clock.now(), tool_version: VERSION }
  const set = { ...piece, page_count, pages: compacted.pages }
  return await writeChanges({ ...rules, ...written, piece: set, content: () => compacted.content() }, signal)
}
