import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Instant } from '@salvor/shared/vocabulary/instant'
import { syncFolder } from './settle.ts'
import { make, move, relink, runAll, unmake, type Step } from './steps.ts'

/** A new folder beside the target, or inside it where the target is a mount point: then only its contents can be swapped. */
export interface Stage {
  readonly path: string
  readonly inside: boolean
}

export const STAGE = '.salvor-'
const BEFORE = '.before-'
/** Moved last: without it no server starts in a folder that is half swapped. */
const LAST = 'PG_VERSION'

export async function makeStage(target: string): Promise<Stage> {
  const inside = await isMountPoint(target)
  if (!inside) await mkdir(dirname(target), { recursive: true })
  return { path: await mkdtemp(inside ? join(target, STAGE) : `${target}${STAGE}`), inside }
}

export function removeStage(stage: Stage): void {
  // Not fs.rm, which begins with all files at once: that takes 170 MB for 100,000 of them.
  rmSync(stage.path, { recursive: true, force: true, maxRetries: 3 })
}

/** Entries of a target that do not make it occupied. */
export const isStageName = (name: string): boolean => name.startsWith(STAGE) || name === 'lost+found'

async function isMountPoint(target: string): Promise<boolean> {
  const own = await stat(target).catch(() => null)
  return own !== null && own.dev !== (await stat(dirname(target))).dev
}

/** What comes into places of its own when the stage goes into place: contents of `path`, a folder in `place`. */
export interface StagedTablespace {
  readonly oid: string
  readonly place: string
  readonly path: string
}

/**
 * Swaps the stage into place, and the tablespaces with it: all, or nothing. In between, no server starts in the target.
 * Gives the paths under which the former contents are kept; their data folder has its tablespaces still.
 */
export async function putInPlace(
  stage: Stage,
  target: string,
  now: Instant,
  tablespaces: readonly StagedTablespace[] = [],
): Promise<string[]> {
  const stamp = now.replace(/\.\d+Z$/, '').replace(/\D/g, '')
  const data = stage.inside ? await swapContents(stage, target, stamp) : await swapFolder(stage, target, stamp)
  const swaps: Swap[] = []
  for (const one of tablespaces) swaps.push(await swapTablespace(one, stamp, data.kept))
  const all = [data, ...swaps]
  await runAll([...all.flatMap(({ out }) => out), ...swaps.flatMap((swap) => swap.in), ...data.in])
  for (const { emptied } of all) if (emptied !== null) await rmdir(emptied)
  for (const folder of new Set([dirname(target), target, ...tablespaces.map(({ place }) => place)])) {
    await syncFolder(folder)
  }
  return all.flatMap(({ kept }) => (kept === null ? [] : [kept]))
}

interface Swap {
  /** Takes the former contents away. */
  readonly out: readonly Step[]
  readonly in: readonly Step[]
  readonly kept: string | null
  /** A folder that is empty when all is done. */
  readonly emptied: string | null
}

async function swapFolder(stage: Stage, target: string, stamp: string): Promise<Swap> {
  const entries = await readdir(target).catch(() => null)
  const fresh = { in: [move(stage.path, target)], emptied: null }
  if (entries === null) return { ...fresh, out: [], kept: null }
  if (entries.length === 0) return { ...fresh, out: [unmake(target)], kept: null }
  const kept = `${target}${BEFORE}${stamp}`
  return { ...fresh, out: [move(target, kept)], kept }
}

async function swapContents(stage: Stage, target: string, stamp: string): Promise<Swap> {
  const former = inOrder((await readdir(target)).filter((name) => !isStageName(name))).toReversed()
  const moves = async () =>
    inOrder(await readdir(stage.path)).map((name) => move(join(stage.path, name), join(target, name)))
  const fresh = { in: await moves(), emptied: stage.path }
  if (former.length === 0) return { ...fresh, out: [], kept: null }
  const kept = join(target, `${STAGE}${BEFORE.slice(1)}${stamp}`)
  return { ...fresh, out: [make(kept), ...former.map((name) => move(join(target, name), join(kept, name)))], kept }
}

/** Only folders of the same name change places: a tablespace's folder may serve clusters of other versions, too. */
async function swapTablespace(
  { oid, place, path }: StagedTablespace,
  stamp: string,
  keptData: string | null,
): Promise<Swap> {
  const names = await readdir(path)
  const fresh = { in: names.map((name) => move(join(path, name), join(place, name))), emptied: path }
  const former = (await readdir(place)).filter((name) => names.includes(name))
  if (former.length === 0) return { ...fresh, out: [], kept: null }
  const kept = join(place, `${STAGE}${BEFORE.slice(1)}${stamp}`)
  const aside = [make(kept), ...former.map((name) => move(join(place, name), join(kept, name)))]
  // A server in the former data folder must not find the new files.
  const link = keptData === null ? [] : [relink(join(keptData, 'pg_tblspc', oid), kept)]
  return { ...fresh, out: [...aside, ...link], kept }
}

const inOrder = (names: readonly string[]): string[] => [
  ...names.filter((name) => name !== LAST),
  ...names.filter((name) => name === LAST),
]
