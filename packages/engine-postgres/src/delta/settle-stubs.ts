import { join } from 'node:path'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { EngineContext, RestoreRequest } from '@salvor/shared/ports/engine'
import type { ScratchTable, WaitingFile } from '../combine/scratch-table.ts'
import { ManifestReader } from '../data-folder/manifest.ts'
import type { SummedFile } from '../data-folder/journal.ts'
import type { ReadBack } from '../data-folder/read-back.ts'
import { PAGE } from '../incremental/form.ts'
import { copyManifest } from './manifest-tail.ts'
import { Sums } from './sums.ts'

interface Stubs {
  readonly context: EngineContext
  readonly content: ArtifactContent
  readonly request: RestoreRequest
  readonly readBack: ReadBack
}

const BATCH = 64

/**
 * Files of a chain of which no increment brought a page are those of the full: where they are there already, nothing more is waited
 * for. The increments were read before.
 */
export async function settleStubs(
  { context, content, request, readBack }: Stubs,
  table: ScratchTable,
  signal: AbortSignal,
): Promise<void> {
  if (table.waiting === 0) return
  const manifest = join(context.scratch_dir, 'full.manifest')
  await copyManifest(content, manifest, signal)
  await using sums = new Sums(request.target)
  let batch: { readonly file: SummedFile; readonly waiting: WaitingFile }[] = []
  const look = async (): Promise<void> => {
    const found = await sums.check(batch.map(({ file }) => file))
    const right = batch.filter((_, i) => found[i]!)
    for (const { waiting } of right) table.done(waiting)
    readBack.known(right.map(({ file }) => file))
    batch = []
  }
  for await (const { path, size, crc } of new ManifestReader(manifest, signal).files()) {
    const waiting = table.find(path)
    if (waiting === null || waiting.some || waiting.wanted * PAGE !== size) continue
    batch.push({ file: [path, size, crc], waiting })
    if (batch.length === BATCH) await look()
  }
  await look()
}
