import { existsSync, mkdirSync, mkdtempDisposableSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ArtifactContent } from '@salvor/shared/ports/artifact'
import type { EngineContext, RestoreRequest } from '@salvor/shared/ports/engine'
import { restoreChain } from '../combine/restore-chain.ts'
import { FilesDiffer } from '../data-folder/compare.ts'
import type { FateOf } from '../data-folder/fates.ts'
import { ReadBack } from '../data-folder/read-back.ts'
import { skimmed } from '../data-folder/skimmed.ts'
import { Tree } from '../data-folder/tree.ts'
import { unpack } from '../data-folder/unpack.ts'
import { databaseFile, databaseRows, type DatabaseRow } from './catalog-heap.ts'

export interface FoundDatabases {
  readonly rows: readonly DatabaseRow[]
  /** Of databases that have files in the backup. */
  readonly oids: ReadonlySet<string>
}

const MAP = 'global/pg_filenode.map'
const FOLDER = /^(?:base|pg_tblspc\/\d+\/PG_[^/]+)\/(\d+)$/

/** Which databases a backup holds, by its own pg_database: of the archive only the headers and the shared catalogs are read. */
export async function lookForDatabases(
  context: EngineContext,
  content: ArtifactContent,
  { increments = [] }: Pick<RestoreRequest, 'increments'>,
  signal: AbortSignal,
): Promise<FoundDatabases> {
  using temporary = mkdtempDisposableSync(join(context.scratch_dir, 'databases-'))
  const scratch = temporary.path
  const folder = join(scratch, 'shared')
  mkdirSync(folder, { mode: 0o700 })
  const tree = new Tree(folder)
  const fate: FateOf = (name) => (name === MAP || /^global\/\d+$/.test(name) ? 'take' : 'keep')
  const watched = (artifact: ArtifactContent) => skimmed(artifact, 0, signal)
  if (increments.length === 0) {
    await unpack(watched(content), tree, { written: () => undefined, zeroed: () => undefined }, fate)
  } else {
    await using readBack = new ReadBack(folder, join(scratch, 'journal'))
    const target = { folder, tree, fate, scratch, readBack, watched, mtime: 0 }
    await restoreChain({ full: content, increments }, target, signal)
  }
  const file = join(folder, 'global', String(databaseFile(fileOf(join(folder, MAP)))))
  const oids = [...tree.folders()].flatMap((name) => FOLDER.exec(name)?.[1] ?? [])
  return { rows: databaseRows(fileOf(file)), oids: new Set(oids) }
}

function fileOf(path: string): Buffer {
  if (!existsSync(path)) throw new FilesDiffer('the shared catalogs are not in the backup')
  return readFileSync(path)
}
