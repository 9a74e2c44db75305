import { mkdir, mkdtemp, readdir, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { syncFolder } from './settle.ts'

/** A new folder beside the target, or inside it where the target is a mount point: then only its contents can be swapped. */
export interface Stage {
  readonly path: string
  readonly inside: boolean
}

const STAGE = '.salvor-'
const BEFORE = '.before-'
/** Moved last: without it no server starts in a folder that is half swapped. */
const LAST = 'PG_VERSION'

export async function makeStage(target: string): Promise<Stage> {
  const inside = await isMountPoint(target)
  if (!inside) await mkdir(dirname(target), { recursive: true })
  return { path: await mkdtemp(inside ? join(target, STAGE) : `${target}${STAGE}`), inside }
}

export async function removeStage(stage: Stage): Promise<void> {
  await rm(stage.path, { recursive: true, force: true, maxRetries: 3 })
}

/** Entries of a target that do not make it occupied. */
export const isStageName = (name: string): boolean => name.startsWith(STAGE) || name === 'lost+found'

async function isMountPoint(target: string): Promise<boolean> {
  const own = await stat(target).catch(() => null)
  return own !== null && own.dev !== (await stat(dirname(target))).dev
}

/** Swaps the stage into place. Gives the path under which the former contents are kept; null when there were none. */
export async function putInPlace(stage: Stage, target: string, now: Instant): Promise<string | null> {
  const stamp = now.replace(/\.\d+Z$/, '').replace(/\D/g, '')
  return stage.inside ? swapContents(stage, target, stamp) : swapFolder(stage, target, stamp)
}

async function swapFolder(stage: Stage, target: string, stamp: string): Promise<string | null> {
  const kept = await moveAside(target, `${target}${BEFORE}${stamp}`)
  try {
    await rename(stage.path, target)
  } catch (error) {
    if (kept !== null) await rename(kept, target)
    throw error
  }
  await syncFolder(dirname(target))
  return kept
}

async function moveAside(target: string, aside: string): Promise<string | null> {
  const entries = await readdir(target).catch(() => null)
  if (entries === null) return null
  if (entries.length === 0) {
    await rmdir(target)
    return null
  }
  await rename(target, aside)
  return aside
}

async function swapContents(stage: Stage, target: string, stamp: string): Promise<string | null> {
  const fresh = inOrder(await readdir(stage.path))
  const former = inOrder((await readdir(target)).filter((name) => !isStageName(name))).toReversed()
  const kept = join(target, `${STAGE}${BEFORE.slice(1)}${stamp}`)
  if (former.length > 0) await mkdir(kept, 0o700)
  const moves = [
    ...former.map((name) => [join(target, name), join(kept, name)] as const),
    ...fresh.map((name) => [join(stage.path, name), join(target, name)] as const),
  ]
  await moveAll(moves, former.length > 0 ? kept : null)
  await rmdir(stage.path)
  await syncFolder(target)
  return former.length > 0 ? kept : null
}

/** All moves, or none: what was moved goes back in reverse order. */
async function moveAll(moves: readonly (readonly [from: string, to: string])[], made: string | null): Promise<void> {
  const done: (readonly [from: string, to: string])[] = []
  try {
    for (const [from, to] of moves) {
      await rename(from, to)
      done.push([from, to])
    }
  } catch (error) {
    for (const [from, to] of done.toReversed()) await rename(to, from)
    if (made !== null) await rmdir(made)
    throw error
  }
}

const inOrder = (names: readonly string[]): string[] => [
  ...names.filter((name) => name !== LAST),
  ...names.filter((name) => name === LAST),
]
