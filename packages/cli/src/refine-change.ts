import type { AskedPoint } from '@salvor/runtime/ask-restore-point'
import type { Change, Look } from './bisect.ts'
import type { RecoveryInstants } from './recovery-instants.ts'

export interface Refinement {
  /** Where instants are not counted, how near two sights are to come. */
  readonly resolutionMs: number
  /** Goes on behind a change that was found, up to the answer at the end. */
  readonly every: boolean
}

/**
 * Halves the way between the two sights of a change until they are neighbours, or something is missing in between. `every`: the changes that
 * lead from the one answer to the other, the oldest first; one that was undone between two looks stays hidden.
 */
export async function refine<A>(
  { before, after }: Change<AskedPoint, A>,
  instants: RecoveryInstants,
  look: Look<AskedPoint, A>,
  { resolutionMs, every }: Refinement,
): Promise<readonly Change<AskedPoint, A>[]> {
  const found: Change<AskedPoint, A>[] = []
  for (let from = before; from.digest !== after.digest; from = found.at(-1)!.after) {
    found.push(await narrowed({ before: from, after }, instants, look, resolutionMs))
    if (!every) break
  }
  return found
}

async function narrowed<A>(
  { before, after }: Change<AskedPoint, A>,
  instants: RecoveryInstants,
  look: Look<AskedPoint, A>,
  resolutionMs: number,
): Promise<Change<AskedPoint, A>> {
  for (;;) {
    const instant = instants.between(before.point.at, after.point.at, resolutionMs)
    const point = instant === null ? null : instants.at(instant)
    const seen = point && (await look(point))
    if (!seen) return { before, after }
    if (seen.digest === before.digest) before = seen
    else after = seen
  }
}
