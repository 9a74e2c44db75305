import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { ControlFile } from '../data-folder/control-file.ts'
import { walk } from '../data-folder/walk.ts'
import type { PageReport, PageWork } from './page-worker.ts'

const RELATION = /^(?:base\/\d+|global|pg_tblspc\/\d+\/PG_[^/]+\/\d+)\/\d+(?:_(?:fsm|vm|init))?(?:\.\d+)?$/

/** Recomputes the checksum of every page of a stopped server, in a thread of its own. */
export async function verifyPages(
  data: string,
  control: ControlFile,
  signal: AbortSignal,
): Promise<PageReport & { readonly files: number }> {
  const files: string[] = []
  for await (const { name, type } of walk(data, null)) if (type === 'file' && RELATION.test(name)) files.push(name)
  const { blockSize, blocksPerSegment } = control
  const work: PageWork = { root: data, files, blockSize, blocksPerSegment }
  const worker = new Worker(new URL('./page-worker.ts', import.meta.url), { workerData: work })
  try {
    const [report] = (await once(worker, 'message', { signal })) as [PageReport]
    return { ...report, files: files.length }
  } finally {
    await worker.terminate()
  }
}
