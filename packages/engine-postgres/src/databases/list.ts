import { mkdtempDisposableSync } from 'node:fs'
import { join } from 'node:path'
import { SalvorError } from '@salvor/shared/errors/salvor-error'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { EngineContext, ListRequest } from '@salvor/shared/ports/engine'
import type { BackupEntry } from '@salvor/shared/ports/reading'
import { FilesDiffer } from '../data-folder/compare.ts'
import { ManifestReader } from '../data-folder/manifest.ts'
import { copyManifest } from '../delta/manifest-tail.ts'
import { TarInvalid } from '../tar/header.ts'
import { isAlwaysTaken } from './choose.ts'
import { lookForDatabases } from './look.ts'

const FILE = /^(?:base|pg_tblspc\/\d+\/PG_[^/]+)\/(\d+)\//

/**
 * The databases of a backup, as `--database` takes them, with what their files hold: in a chain, at its full, for those that were there by then. Only the shared catalogs and the
 * lists of files are read.
 */
export async function listDatabases(
  context: EngineContext,
  content: ArtifactContent,
  request: ListRequest,
  signal: AbortSignal,
): Promise<readonly BackupEntry[]> {
  if (request.database !== null) {
    const fix = 'salvor export shows its tables: --format csv'
    throw new SalvorError('NOT_AVAILABLE', { what: 'a list of what is in one database of a physical backup', fix })
  }
  try {
    const { rows, oids } = await lookForDatabases(context, content, request, signal)
    const [full, tip] = await sizesOf(context, content, request, signal)
    return rows
      .filter(({ oid }) => oids.has(oid))
      .toSorted((a, b) => Number(a.oid) - Number(b.oid))
      .map(({ oid, name }) => {
        const always = isAlwaysTaken({ oid, name })
        const detail = `oid ${oid}${always ? ', comes with every restore' : ''}`
        const bytes = full.get(oid) ?? tip.get(oid) ?? 0
        return { kind: 'DATABASE', name, detail, oid, bytes, always }
      })
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof TarInvalid || error instanceof FilesDiffer)) throw error
    throw new SalvorError('RESTORE_FAILED', { target: 'a list', reason: error.message }, error)
  }
}

type Sizes = ReadonlyMap<string, number>

/** By database, in the full and in the newest of what stands on it. */
async function sizesOf(
  { scratch_dir }: EngineContext,
  content: ArtifactContent,
  { increments = [] }: ListRequest,
  signal: AbortSignal,
): Promise<readonly [Sizes, Sizes]> {
  using scratch = mkdtempDisposableSync(join(scratch_dir, 'manifests-'))
  const read = async (artifact: ArtifactContent, name: string): Promise<Sizes> => {
    const manifest = join(scratch.path, name)
    await copyManifest(artifact, manifest, signal)
    const sizes = new Map<string, number>()
    for await (const { path, size } of new ManifestReader(manifest, signal).files()) {
      const oid = FILE.exec(path)?.[1]
      if (oid !== undefined) sizes.set(oid, (sizes.get(oid) ?? 0) + size)
    }
    return sizes
  }
  const full = await read(content, 'full')
  let tip: Sizes = new Map()
  await increments.at(-1)?.open(async (artifact) => {
    tip = await read(artifact, 'tip')
  })
  return [full, tip]
}
