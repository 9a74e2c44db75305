import { inspectCopy } from '@salvor/repository/inspect-copy'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { openStore, type TaskContext } from './task-context.ts'

/** Reads one copy and tells what is good and what is not. Changes nothing. */
export async function inspect(
  { store, manifest_key, manifest_sha256, level }: TaskTable['inspect']['input'],
  context: TaskContext,
): Promise<TaskTable['inspect']['output']> {
  const { keyring, config, clock, progress, signal } = context
  await using opened = await openStore(context, store)
  const copy = { store: opened.store, manifest_key, manifest_sha256, keyring }
  const monotonicMs = (): number => clock.monotonicMs()
  const request = { ...copy, level, threads: config.threads, monotonicMs, onProgress: progress }
  return { checks: await inspectCopy(request, signal) }
}
