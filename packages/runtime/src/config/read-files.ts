import { resolve } from 'node:path'
import { encodeSourcePath } from '@salvor/repository/layout'
import type { EngineAdapter } from '@salvor/shared/ports/engine'
import type { FleetSettings } from '@salvor/shared/ports/service'
import { isObjectKey } from '@salvor/shared/vocabulary/object-key'
import { z } from 'zod'
import { parseSection, reportUnknownKey } from './parse-section.ts'
import type { KeyPath } from './problems.ts'
import type { Block, Reading } from './read-block.ts'

/** Beside `path`, for engines whose databases are files. */
export const PATHS = z.array(z.string().min(1)).min(1).describe('Folders and globs: each file is a source of its own')
const Paths = z.object({ paths: PATHS })
/** The longest name in a source's folder. */
const LONGEST_NAME = 'pre_restore_backup_20251127_203930.manifest.json'

/** What `paths` of a source gave at this moment. */
export interface Files {
  readonly fleet: FleetSettings
  /** By the name of the source that each is, ascending. */
  readonly blocks: ReadonlyMap<string, Block<unknown>>
}

/** Reads `paths` of a source and looks what lies there. `own`: keys that somebody else reads. Undefined: a mistake, which is reported. */
export async function readFiles(
  source: string,
  adapter: EngineAdapter,
  raw: Readonly<Record<string, unknown>>,
  path: KeyPath,
  own: readonly string[],
  reading: Reading,
): Promise<Files | undefined> {
  const { tree, folder } = reading
  const foreign = tree.keys(path).filter((key) => key !== 'paths' && !own.includes(key))
  for (const key of foreign) {
    if (key === 'path') tree.problems.add([...path, key], 'both path and paths are given', 'keep one of them')
    else reportUnknownKey([...path, key], ['paths', ...own], tree)
  }
  if (typeof raw['pool'] === 'string') {
    const reason = 'the scheduler looks for files itself, and does not see those of a pool'
    tree.problems.add(
      [...path, 'pool'],
      reason,
      'name each file as a source of its own with `path`, or remove the pool',
    )
  }
  const parsed = parseSection(Paths, { paths: raw['paths'] }, path, tree)
  if (!parsed || foreign.length > 0 || !adapter.findFiles) return undefined
  const places = parsed.paths.map((place) => resolve(folder, place))
  try {
    return named(source, await adapter.findFiles(places))
  } catch (error) {
    const unread = error instanceof Error ? error.message : String(error)
    return { fleet: { found: 0, unread, left_out: [] }, blocks: new Map() }
  }
}

function named(source: string, found: Awaited<ReturnType<NonNullable<EngineAdapter['findFiles']>>>): Files {
  const left_out = [...found.left_out]
  const blocks = new Map<string, Block<unknown>>()
  for (const { relative, config } of found.files) {
    const name = `${source}/${encodeSourcePath(relative)}`
    const fits = isObjectKey(`${name}/${LONGEST_NAME}`)
    if (fits) blocks.set(name, { config, fingerprint: config as Record<string, unknown> })
    else left_out.push({ file: relative, reason: 'its name is too long for a store' })
  }
  return { fleet: { found: blocks.size, unread: null, left_out }, blocks }
}
