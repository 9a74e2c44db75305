import { join } from 'node:path'
import { writeBackup } from '@salvor/repository/write-backup'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { MergeRequest, SnapshotFacts } from '@salvor/shared/ports/engine'
import type { CopyAddress, TaskTable } from '@salvor/shared/ports/tasks'
import { backupRequest } from './backup-request.ts'
import { joinProgress } from './joined-progress.ts'
import { fetchChainDigests } from './fetch-chain-digests.ts'
import { openChain } from './open-chain.ts'
import { engineOfBackup, openStore, type TaskContext } from './task-context.ts'

/** Puts a chain together as a full, from what lies in the stores. Needs the key that opens them, as a restore does; the source is not asked. */
export async function merge(
  input: TaskTable['merge']['input'],
  context: TaskContext,
): Promise<TaskTable['merge']['output']> {
  const source = context.config.settings.sources.get(input.source)
  if (!source) throw new SalvorError('SOURCE_UNKNOWN', { source: input.source })
  if (input.chain.length < 2) throw new SalvorError('INTERNAL', { what: 'a chain without incrementals' })
  const progress = joinProgress(context.progress)
  // The bytes that are written count: those that are read are more or fewer.
  await using chain = await openChain(input.chain, source.name, context, () => {})
  const { tip, full, increments } = chain
  const engine = await engineOfBackup(source.name, tip.engine, { ...context, progress: progress.engine })
  if (!engine.merge || source.engine !== tip.engine) {
    const fix = `salvor backup ${source.name} --type full`
    throw new SalvorError('NOT_AVAILABLE', {
      what: `a merge of ${tip.engine} backups of a ${source.engine} source`,
      fix,
    })
  }
  await using opened = await openStore(context, input.store)
  const { source_db, consistent_at } = tip
  return await writeBackup(
    backupRequest(input, source, opened.store, { ...context, progress: progress.bytes }),
    async (sink): Promise<SnapshotFacts> => {
      const request: MergeRequest = { increments, digests: () => digestsOf(input.chain, context) }
      const { engine_facts, digests } = await engine.merge!(full.content, request, sink, context.signal)
      const merged = { merged_backups: input.chain.length, merged_from: tip.id }
      return {
        source_db,
        consistent_at,
        engine_facts: { ...engine_facts, ...merged },
        digests,
        notices: [notice(input)],
      }
    },
    context.signal,
  )
}

async function digestsOf(chain: readonly CopyAddress[], context: TaskContext): Promise<string> {
  const file = join(context.scratch_dir, 'tip.digests')
  await fetchChainDigests(chain, file, context)
  return file
}

function notice({ chain }: TaskTable['merge']['input']): string {
  const [first, last] = [chain[0]!.filename, chain.at(-1)!.filename]
  return `put together in the repository from ${first} and what stands on it, up to ${last}: the source was not read`
}
