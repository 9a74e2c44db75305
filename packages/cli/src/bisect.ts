/** What was seen at a point: two with the same `digest` are the same answer. */
export interface Sight<P, A> {
  readonly point: P
  readonly digest: string
  readonly answer: A
}

export interface Change<P, A> {
  readonly before: Sight<P, A>
  readonly after: Sight<P, A>
}

export interface Bisection<P, A> {
  /** Neighbours, as far as points could be looked at, the oldest first. */
  readonly changes: readonly Change<P, A>[]
  readonly first: Sight<P, A>
  readonly last: Sight<P, A>
  readonly looked_at: number
}

/** Null: the point cannot be looked at. */
export type Look<P, A> = (point: P) => Promise<Sight<P, A> | null>

/**
 * Looks for neighbours with different answers among points in the order of time: between the ends by halves, which finds one change if the
 * ends differ, or at every point. Null: fewer than two points can be looked at.
 */
export async function bisect<P, A>(
  points: readonly P[],
  look: Look<P, A>,
  every: boolean,
): Promise<Bisection<P, A> | null> {
  return every ? lookAtEvery(points, look) : lookByHalves([...points], look)
}

async function lookAtEvery<P, A>(points: readonly P[], look: Look<P, A>): Promise<Bisection<P, A> | null> {
  const changes: Change<P, A>[] = []
  let first: Sight<P, A> | null = null
  let last: Sight<P, A> | null = null
  let looked = 0
  for (const point of points) {
    const seen = await look(point)
    if (!seen) continue
    looked += 1
    if (last && last.digest !== seen.digest) changes.push({ before: last, after: seen })
    first ??= seen
    last = seen
  }
  return first && last && looked > 1 ? { changes, first, last, looked_at: looked } : null
}

async function lookByHalves<P, A>(left: P[], look: Look<P, A>): Promise<Bisection<P, A> | null> {
  let looked = 0
  /** The next point from there on that can be looked at; those that cannot are left out from now on. */
  const seenFrom = async (end: 'first' | 'last'): Promise<Sight<P, A> | null> => {
    while (left.length > 0) {
      const seen = await look(end === 'first' ? left[0]! : left.at(-1)!)
      if (seen) {
        looked += 1
        return seen
      }
      if (end === 'first') left.shift()
      else left.pop()
    }
    return null
  }
  const first = await seenFrom('first')
  if (!first || left.length < 2) return null
  const last = await seenFrom('last')
  if (!last || left.length < 2) return null
  if (first.digest === last.digest) return { changes: [], first, last, looked_at: looked }
  let [before, after, low, high] = [first, last, 0, left.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    const seen = await look(left[middle]!)
    if (!seen) {
      left.splice(middle, 1)
      high -= 1
      continue
    }
    looked += 1
    if (seen.digest === before.digest) [before, low] = [seen, middle]
    else [after, high] = [seen, middle]
  }
  return { changes: [{ before, after }], first, last, looked_at: looked }
}
