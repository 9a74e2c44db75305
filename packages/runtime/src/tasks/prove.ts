import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { openArtifact } from '@salvor/repository/read-artifact'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { TaskTable } from '@salvor/shared/ports/tasks'
import { joinProgress } from './joined-progress.ts'
import { assertSource, engineOfBackup, openStore, type TaskContext } from './task-context.ts'

/** What the engine writes beside the restored bytes: logs, journals, a server's own files. */
const EXTRA_BYTES = 64_000_000

/** Restores one copy into the sandbox, opens it with the real engine and runs the checks. The caller empties the sandbox. */
export async function prove(
  input: TaskTable['prove']['input'],
  context: TaskContext,
): Promise<TaskTable['prove']['output']> {
  const { keyring, config, clock, scratch_dir, signal } = context
  const { source, manifest_key, manifest_sha256 } = input
  const progress = joinProgress(context.progress)
  await using opened = await openStore(context, input.store)
  const request = { store: opened.store, manifest_key, manifest_sha256, keyring, threads: config.threads }
  await using artifact = await openArtifact({ ...request, onProgress: progress.bytes }, signal)
  const { manifest, content } = artifact
  assertSource(manifest, source, manifest_key)
  await assertRoom(scratch_dir, manifest.source_bytes)
  const engine = await engineOfBackup(source, manifest.engine, { ...context, progress: progress.engine })
  const target = join(scratch_dir, 'restored')
  const { engine_facts } = manifest
  const began = clock.monotonicMs()
  const restored = await engine.restore(content, { target, in_place: false, engine_facts }, signal)
  const restore_ms = clock.monotonicMs() - began
  const checks = await engine.prove(target, config.settings.sources.get(source)?.checks ?? [], engine_facts, signal)
  return { checks: [...restored.checks, ...checks], restore_ms }
}

/** The sandbox often lies beside the catalog: a proof must not be what fills that disk. */
async function assertRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize < bytes + EXTRA_BYTES) throw new SalvorError('DISK_FULL', { what: `the sandbox ${folder}` })
}
