import { join } from 'node:path'
import type { ArtifactContent, SkippableBytes } from '@salvor/shared/ports/artifact'
import type { Increment } from '@salvor/shared/ports/engine'
import { FilesDiffer } from '../data-folder/compare.ts'
import { shown } from '../data-folder/member-name.ts'
import { makeZeros } from '../data-folder/zeros.ts'
import { plainName } from '../incremental/form.ts'
import { assertStandsOn, type Label } from './label.ts'
import { readLevel, type Level, type LevelRead } from './read-level.ts'
import {
  copyTaker,
  NewestIncremental,
  OlderIncremental,
  olderWhole,
  zerosOfIncremental,
  type Combined,
} from './takers.ts'

export interface Chain {
  readonly full: ArtifactContent
  /** Oldest first; at least one. */
  readonly increments: readonly Increment[]
}

export interface ChainReading {
  readonly combined: Combined
  /** A folder for what is kept of each artifact while the chain is read. */
  readonly scratch: string
  /** Counts what is read. */
  readonly watched: (content: ArtifactContent) => AsyncIterable<Uint8Array> | SkippableBytes
  /** Hears of each folder of the newest state; `block`: its header in the archive, valid during the call. */
  readonly folder: (path: string, block: Buffer) => void
}

export interface IncrementsRead {
  readonly newest: LevelRead
  /** The newest one was taken by the server; otherwise pages were compared, and its manifest is that of the whole state. */
  readonly native: boolean
  /** Of the oldest increment. */
  readonly above: Label
}

/** Reads the increments of a chain, the newest first: what they bring of the newest state is put where `combined` says. */
export async function readIncrements(
  increments: readonly Increment[],
  reading: ChainReading,
  signal: AbortSignal,
): Promise<IncrementsRead> {
  const { combined, watched, scratch, folder } = reading
  const [tip, ...older] = increments.toReversed()
  const top = { ...newestLevel(combined), folder, name: tip!.id, scratch: join(scratch, tip!.id) }
  const newest = await tip!.open((content) =>
    readLevel({ ...top, checked: isNative(tip!), chunks: watched(content) }, signal),
  )
  let above = assertKind(tip!, newest)
  for (const increment of older) {
    const { id } = increment
    const level = { ...olderLevel(combined), name: id, scratch: join(scratch, id), checked: isNative(increment) }
    const read = await increment.open((content) => readLevel({ ...level, chunks: watched(content) }, signal))
    assertStandsOn(above, read.label)
    assertSameCluster(newest, read, id)
    above = assertKind(increment, read)
  }
  return { newest, native: isNative(tip!), above }
}

/** Reads the full below them. `begin`: what takes its files, where those that miss some pages are not simply completed. */
export async function readFull(
  full: ArtifactContent,
  { newest, native, above }: IncrementsRead,
  { combined, watched, scratch }: ChainReading,
  signal: AbortSignal,
  begin: Level['begin'] = olderLevel(combined).begin,
): Promise<void> {
  const level = { ...olderLevel(combined), name: 'the full backup', scratch: join(scratch, 'full'), checked: native }
  const read = await readLevel({ ...level, begin, chunks: watched(full) }, signal)
  assertStandsOn(above, read.label)
  assertSameCluster(newest, read, level.name)
  if (read.label.from !== null) throw new FilesDiffer('the chain begins with an increment')
  const missing = combined.table.first()
  if (missing !== null) throw new FilesDiffer(`no backup of the chain holds the whole of ${shown(missing)}`)
}

const isNative = ({ engine_facts }: Increment): boolean => engine_facts['incremental'] === 'native'

function newestLevel(combined: Combined): Pick<Level, 'begin'> {
  return {
    begin(path, { size }) {
      // Written at the end, when nothing says any more that this is an increment.
      if (path === 'backup_label') return IGNORED
      const plain = plainName(path)
      const fate = combined.fate?.(plain ?? path) ?? 'take'
      if (fate === 'keep') return null
      if (fate === 'zeros')
        return plain === null ? zeros(combined, path, size) : zerosOfIncremental(combined, plain, size)
      return plain === null ? copyTaker(combined, path, size) : new NewestIncremental(combined, plain, size)
    },
  }
}

function zeros({ tree, zeroed }: Combined, name: string, size: number): null {
  makeZeros(tree, name, size)
  zeroed?.(name, size)
  return null
}

const IGNORED = { write: () => undefined, end: () => undefined }

/** Files that are not in the newest backup are not waited for: they do not come back. */
function olderLevel(combined: Combined): Pick<Level, 'begin' | 'folder'> {
  return {
    folder: () => undefined,
    begin(path, { size }) {
      const plain = plainName(path)
      const waiting = combined.table.find(plain ?? path)
      if (waiting === null) return null
      return plain === null ? olderWhole(combined, waiting, size) : new OlderIncremental(combined, waiting, size)
    },
  }
}

function assertKind(increment: Increment, { label }: LevelRead): Label {
  if (isNative(increment) === (label.from !== null)) return label
  throw new FilesDiffer(`${increment.id}: backup_label does not fit its kind`)
}

function assertSameCluster(one: LevelRead, other: LevelRead, name: string): void {
  if (one.systemId !== other.systemId) throw new FilesDiffer(`${name} is of another cluster (system identifier)`)
}
