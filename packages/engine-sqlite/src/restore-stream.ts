import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { ByteSink, RestoreFacts, RestoreRequest } from '@salvor/shared/ports/engine'
import { restoreFile } from './restore.ts'
import type { Site } from './site.ts'

/** The bytes of a database file: a full as it comes, more than that by way of a file in the scratch folder, which is checked. */
export async function streamFile(
  site: Site,
  content: ArtifactContent,
  request: Omit<RestoreRequest, 'target' | 'in_place' | 'tablespaces'>,
  sink: ByteSink,
  signal: AbortSignal,
): Promise<RestoreFacts> {
  if ((request.increments?.length ?? 0) === 0) {
    for await (const chunk of content.chunks(signal)) await sink(chunk)
    const recovered = request.engine_facts['consistent_at']
    return { recovered_to: typeof recovered === 'string' ? recovered : site.context.now(), checks: [] }
  }
  const target = join(site.context.scratch_dir, 'stream.db')
  const restored = await restoreFile(site, content, { ...request, target, in_place: false }, signal)
  for await (const chunk of createReadStream(target, { highWaterMark: 1 << 20, signal })) await sink(chunk as Buffer)
  return restored
}
